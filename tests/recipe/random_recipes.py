"""Random recipes that are right, for the laws of loading and dumping.

A strategy draws only the keys; `build` makes the dataclasses outside of it, because
beartype's checks draw random numbers, which hypothesis does not allow in a strategy.
"""

from hypothesis import strategies as st

from svtcli.recipe.data import FolderData, MovingMnistData
from svtcli.recipe.model import Dilated
from svtcli.recipe.schema import SECTIONS, Recipe

words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["on", "1e-3", "null", "~", "", "0x1f", "a: b", "# x", "*.mp4"]),
)
counts = st.integers(1, 10**6)
widths = st.integers(1, 1000)
positive = st.floats(1e-12, 1e6)

folders = st.fixed_dictionaries(
    {"kind": st.just("folder"), "test": st.floats(0.1, 0.4)},
    optional={
        "source": words,
        "clips": st.none() | words,
        "match": st.sampled_from(["", "^a.*[0-9]", "x|y"]),
        "fps": st.none() | positive,
        "frames": st.integers(40, 100) | st.just("all"),
        "split": st.sampled_from(["video", "time"]),
        "val": st.floats(0, 0.4),
        "seed": st.integers(-(2**31), 2**32 - 1),
    },
)
digits = st.fixed_dictionaries(
    {"kind": st.just("moving-mnist")}, optional={"source": words}
)
block = st.sampled_from([(4, 8, 4), (1, 32, 4), Dilated((2, 4, 4)), (4, 32, 32)])
models = st.fixed_dictionaries(
    {},
    optional={
        "k": st.just((5, 3, 3)),
        "na": st.integers(1, 16) | st.lists(widths, min_size=1, max_size=3).map(tuple),
        "blocks": st.lists(block, min_size=1, max_size=4).map(tuple),
    },
)
trains = st.fixed_dictionaries(
    {},
    optional={
        "prime": st.integers(1, 15),
        "learning_rate": positive,
        "clip_norm": st.none() | positive,
        "epsilon": positive,
    },
)
keys = st.fixed_dictionaries(
    {"data": folders | digits, "model": models, "train": trains},
    optional={
        "about": words,
        "sample": st.fixed_dictionaries(
            {"count": counts, "temperature": st.floats(0, 10)}
        ),
        "eval": st.fixed_dictionaries({"clips": st.none() | counts}),
        "render": st.fixed_dictionaries({"fps": st.floats(0.01, 1000)}),
    },
)


def build(keys):
    """The recipe of drawn `keys`."""
    gray = keys["data"]["kind"] == "moving-mnist"
    data = (MovingMnistData if gray else FolderData)(**keys["data"])
    model = {**keys["model"], "channels": 1 if gray else 3}
    sections = {
        name: SECTIONS[name](**values)
        for name, values in {**keys, "model": model}.items()
        if name in SECTIONS
    }
    return Recipe(data=data, about=keys.get("about", ""), **sections)
