"""Shell completion of recipes, runs, checkpoints, samples, clips and recipe keys.

Typer calls these functions for the shell (`svt --install-completion`). They read names
and small files only and import neither jax nor NumPy, to answer at once. An error gives
no suggestions.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from svtcli.recipe.setting import Setting

Words = list[str]
Offer = Callable[[str], Words]

_BREAKS = re.compile(r"[=:@]")
_head = ""
"""Start of the word that bash takes for words of their own."""


def begin() -> None:
    """Join the words that bash has split at `=`, `:` and `@`.

    Bash splits `train.batch=64` into three words and completes the last one. They
    become one again; the start of the word is kept, as an answer must not repeat it.
    """
    global _head
    _head = ""
    words = os.environ.get("COMP_WORDS", "").split("\n")
    try:
        at = int(os.environ.get("COMP_CWORD", ""))
    except ValueError:
        return
    words = [*words[: at + 1], *[""] * (at + 1 - len(words))]
    whole = _rejoined(words)
    current = whole[-1]
    cut = max((found.end() for found in _BREAKS.finditer(current)), default=0)
    if words[-1] == current:  # nothing was split
        cut = 0
    _head = current[:cut]
    os.environ["COMP_WORDS"] = "\n".join([*whole[:-1], current[cut:]])
    os.environ["COMP_CWORD"] = str(len(whole) - 1)


def _rejoined(words: Words) -> Words:
    """Join words around a lone `=`, `:` or `@`."""
    whole: Words = []
    glued = False
    for word in words:
        lone = bool(_BREAKS.fullmatch(word))
        if whole and (lone or glued) and whole[-1]:
            whole[-1] += word
        else:
            whole.append(word)
        glued = lone
    return whole


def _completer(offer: Offer) -> Offer:
    """Adapt `offer` to Typer, which passes the word by the name `incomplete`."""

    def complete(incomplete: str) -> Words:
        whole = _head + incomplete
        try:
            offered = [word for word in offer(whole) if word.startswith(whole)]
        except Exception:  # no traceback in the user's command line
            return []
        return [word[len(_head) :] for word in dict.fromkeys(offered)]

    complete.__doc__, complete.__name__ = offer.__doc__, offer.__name__
    return complete


@_completer
def recipes(word: str) -> Words:
    """Shipped recipes, and YAML files in the typed folder."""
    from svtcli.recipe.load import SUFFIXES, shipped_recipes

    folder = word.rpartition("/")[0]
    names = [] if "/" in word else list(shipped_recipes())
    beside = Path(folder or ("/" if word.startswith("/") else "."))
    prefix = word[: len(word) - len(word.rpartition("/")[2])]
    files = [path.name for path in beside.iterdir() if path.suffix in SUFFIXES]
    return [*names, *sorted(f"{prefix}{name}" for name in files)]


@_completer
def runs(word: str) -> Words:
    """Names of runs."""
    return _run_names()


@_completer
def checkpoints(word: str) -> Words:
    """Names of runs and shipped models, or RUN@STEP after an @."""
    return _checkpoints(word)


@_completer
def models_or_samples(word: str) -> Words:
    """Checkpoints and folders of samples, for `svt eval`."""
    return [*_checkpoints(word), *_samples()]


@_completer
def drawable(word: str) -> Words:
    """Runs, folders of samples and clips, for `svt render`."""
    return [*_run_names(), *_samples(), *_clips(word, "clips/"), *_clips(word, "")]


@_completer
def clips(word: str) -> Words:
    """Folders of clips, with splits after a colon."""
    return list(_clips(word, "clips/"))


@_completer
def clips_folders(word: str) -> Words:
    """Folders of clips."""
    return [word for word in _clips("", "clips/") if ":" not in word]


@_completer
def chips(word: str) -> Words:
    """Known accelerators."""
    from svtcli.train.chips import CHIPS

    return [chip.name for chip in CHIPS]


@_completer
def overrides(word: str) -> Words:
    """Sections, then keys, then values: all choices, or else the default.

    A single matching key comes with its values: a shell adds a space after a single
    suggestion.
    """
    sections = _sections()
    name, dot, _ = word.partition(".")
    if not dot:
        found = [each for each in sections if each.startswith(word)]
        if len(found) != 1:
            return [f"{each}." for each in found]
        name = found[0]
    keys = {f"{name}.{key}": values for key, values in sections[name].items()}
    wanted, equals, _ = word.partition("=")
    if equals:
        return [f"{wanted}={value}" for value in keys[wanted]]
    begun = [key for key in keys if key.startswith(wanted)]
    if len(begun) != 1:
        return [f"{key}=" for key in begun]
    return [f"{begun[0]}={value}" for value in keys[begun[0]]]


@_completer
def sort_keys(word: str) -> Words:
    """Scores, columns of the list of runs, and recipe keys."""
    from svtcli.recipe.schema import METRICS, UNITS

    keys = [f"{section}.{key}" for section, keys in _sections().items() for key in keys]
    return ["last", "best", "step", "size", *UNITS, *METRICS, *keys]


def _run_names() -> Words:
    from svtcli.run.directory import runs_root

    return sorted(file.parent.name for file in runs_root().glob("*/recipe.yaml"))


def _checkpoints(word: str) -> Words:
    from svtcli.run.directory import RunFolder, runs_root, shipped_models

    run, at, _ = word.rpartition("@")
    if not at:
        return [*_run_names(), *shipped_models()]
    folder = Path(run) if (Path(run) / "recipe.yaml").is_file() else runs_root() / run
    return [f"{run}@{step}" for step in RunFolder(folder).steps()]


def _samples() -> Iterator[str]:
    """Folders of finished samples."""
    from svtcli.run.directory import runs_root

    for file in sorted(runs_root().glob("*/samples/*/samples.json")):
        yield str(file.parent)


def _clips(word: str, before: str) -> Iterator[str]:
    """Folders in clips/, and the splits of the one before a colon."""
    from svtcli.run.durable import read_record

    name, colon, _ = word.partition(":")
    for file in sorted(Path("clips").glob("*/manifest.json")):
        here = f"{before}{file.parent.name}"
        yield here
        if colon and here == name:
            splits = read_record(file, "")["splits"]
            yield from (f"{here}:{split}" for split in splits)


def _sections() -> dict[str, dict[str, Words]]:
    """Keys of each section, with the values to offer."""
    from svtcli.recipe.data import DATASETS
    from svtcli.recipe.schema import SECTIONS
    from svtcli.recipe.setting import settings_of

    found: dict[str, dict[str, Words]] = {"data": {}}
    for name, section in [*(("data", each) for each in DATASETS), *SECTIONS.items()]:
        keys = found.setdefault(name, {})
        for setting in settings_of(section):
            known = keys.setdefault(setting.name, [])
            known += [each for each in _values(setting) if each not in known]
    return found


def _values(setting: "Setting") -> Words:
    """Choices of a setting, else its default."""
    if setting.types == (bool,):
        return ["false", "true"]
    if setting.choices and not setting.several:
        return [str(each) for each in setting.choices]
    if setting.default is MISSING:
        return []
    # As in an override: without quotes and spaces.
    return [json.dumps(setting.default, separators=(",", ":")).replace('"', "")]
