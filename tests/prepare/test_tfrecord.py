"""TFRecord files, against grain's reader, and against every kind of damage."""

from pathlib import Path

import grain
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from svtcli.prepare.sources import tfrecord
from svtcli.prepare.sources.tfrecord import (
    BadRecord,
    count_records,
    masked_crc,
    read_records,
)
from tests.prepare.record_files import framed, write_records

RECORDS = [b"one", b"", b"three" * 100]
some_records = st.lists(st.binary(max_size=40), max_size=6)
on_one_file = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a.tfrecords"


def spoiled(file: Path, at: int, bit: int = 1) -> Path:
    data = bytearray(file.read_bytes())
    data[at] ^= bit
    file.write_bytes(data)
    return file


@on_one_file
@given(some_records)
def test_written_records_are_read_and_counted(file: Path, records: list[bytes]) -> None:
    write_records(file, records)
    assert list(read_records(file)) == records
    assert count_records(file) == len(records)


@on_one_file
@given(some_records)
def test_grain_reads_the_same_records(file: Path, records: list[bytes]) -> None:
    write_records(file, records)
    assert list(grain.experimental.TFRecordIterDataset(str(file))) == records


def test_the_checksum_is_the_published_one() -> None:
    # CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, B.4); turned and shifted by hand.
    turned = 0x8A9136AA >> 15 | (0x8A9136AA & 0x7FFF) << 17
    assert masked_crc(bytes(32)) == (turned + 0xA282EAD8) % 2**32


def test_records_inside_of_another_file_are_read_in_place(file: Path) -> None:
    inner = b"".join(map(framed, RECORDS))
    file.write_bytes(b"before" + inner + b"after")
    assert list(read_records(file, 6, len(inner))) == RECORDS
    assert count_records(file, 6, len(inner)) == 3


@on_one_file
@given(st.binary(max_size=120))
def test_arbitrary_bytes_give_records_or_a_clear_error(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    given_back = list(read_records(file))
    assert all(isinstance(each, bytes | BadRecord) for each in given_back)
    assert bool(data) == bool(given_back)


@on_one_file
@given(some_records, st.data())
def test_a_flipped_bit_loses_one_record_or_the_rest(
    file: Path, records: list[bytes], data: st.DataObject
) -> None:
    write_records(file, [*records, b"last"])
    at = data.draw(st.integers(0, file.stat().st_size - 1))
    spoiled(file, at, 1 << data.draw(st.integers(0, 7)))
    given_back = list(read_records(file))
    (broken,) = [each for each in given_back if isinstance(each, BadRecord)]
    there = [*records, b"last"]
    assert given_back[: broken.record] == there[: broken.record]
    after = [] if broken.rest else there[broken.record + 1 :]
    assert given_back[broken.record + 1 :] == after


@on_one_file
@given(some_records, st.data())
def test_a_truncated_file_gives_whole_records_and_one_error(
    file: Path, records: list[bytes], data: st.DataObject
) -> None:
    write_records(file, [*records, b"last"])
    size = file.stat().st_size
    cut = data.draw(st.integers(0, size - 1))
    file.write_bytes(file.read_bytes()[:cut])
    *whole, broken = read_records(file, 0, size)
    assert whole == records[: len(whole)]
    assert isinstance(broken, BadRecord)
    assert broken.rest
    assert broken.record == len(whole)
    with pytest.raises(BadRecord) as counted:
        count_records(file, 0, size)
    assert counted.value.record == len(whole)


def test_a_damaged_length_ends_the_file_and_the_count(file: Path) -> None:
    write_records(file, RECORDS)
    spoiled(file, len(framed(RECORDS[0])) + 3)
    first, broken = read_records(file)
    assert first == RECORDS[0]
    assert isinstance(broken, BadRecord)
    assert str(broken) == "record 1: its length is damaged (checksum)"
    with pytest.raises(BadRecord, match="record 1: its length is damaged"):
        count_records(file)


def test_damaged_data_is_counted_but_not_read(file: Path) -> None:
    write_records(file, RECORDS)
    spoiled(file, 13)
    broken, *others = read_records(file)
    assert isinstance(broken, BadRecord)
    assert not broken.rest
    assert others == RECORDS[1:]
    assert count_records(file) == 3


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 1 << 40])
def test_a_length_beyond_the_file_is_refused_before_it_is_allocated(
    file: Path, length: int
) -> None:
    head = length.to_bytes(8, "little")
    file.write_bytes(head + masked_crc(head).to_bytes(4, "little") + b"data")
    (broken,) = read_records(file)
    assert isinstance(broken, BadRecord)
    assert broken.rest
    assert "the file ends" in broken.detail


def test_a_record_beyond_the_limit_is_skipped(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tfrecord, "RECORD_LIMIT", 100)
    write_records(file, [*RECORDS, b"end"])
    *_, broken, end = read_records(file)
    assert isinstance(broken, BadRecord)
    assert not broken.rest
    assert end == b"end"


def test_a_file_that_is_not_there_is_an_os_error(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        next(read_records(file))
