import asyncio
import sys
from types import SimpleNamespace

import pytest

from svtcli.train.arrays import _DropLateReports


def test_only_reports_to_a_closed_event_loop_are_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []
    monkeypatch.setattr(sys, "unraisablehook", lambda report: told.append(report))
    monkeypatch.setattr(sys, "unraisablehook", _DropLateReports(sys.unraisablehook))
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(RuntimeError) as lost:
        loop.call_soon_threadsafe(print)
    with pytest.raises(RuntimeError) as other:
        loop.run_forever()
    for error in (lost.value, other.value, ValueError("any"), None):
        # As C code does, whose frames are not in the traceback.
        if error is lost.value:
            error = error.with_traceback(error.__traceback__.tb_next)
        sys.unraisablehook(SimpleNamespace(exc_value=error))
    assert [type(report.exc_value) for report in told] == [
        RuntimeError,
        ValueError,
        type(None),
    ]
