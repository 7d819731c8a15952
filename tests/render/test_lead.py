"""The sentences at the top of the page."""

from dataclasses import replace

import pytest

from svtcli.render.groups import groups_of
from svtcli.render.lead import lead
from tests.render.made_up import made_up_actions, made_up_samples


def told(*models, arrows=False):
    named = {f"{number}": samples for number, samples in enumerate(models)}
    groups = groups_of(named, 1, arrows=arrows)
    return " ".join(lead(groups, [samples.facts for samples in models]))


@pytest.mark.parametrize(
    ("models", "said"),
    [
        (
            [made_up_samples()],
            (
                "The model saw the two amber frames; it invented the rest. Beside the "
                "ground truth play three samples: different futures of one start."
            ),
        ),
        (
            [made_up_samples(each=1, prime=1)],
            (
                "The model saw the one amber frame; it invented the rest. Beside the "
                "ground truth plays one future that the model finds likely."
            ),
        ),
        (
            [made_up_samples(), made_up_samples()],
            (
                "Each model saw the two amber frames; it invented the rest. Beside the "
                "ground truth play two samples of two models."
            ),
        ),
        (
            [made_up_actions()],
            (
                "The model saw the two amber frames and the action commanded in every "
                "frame; it invented the rest. Beside the ground truth play two samples "
                "under different actions."
            ),
        ),
        ([made_up_samples(frames=20, prime=13)], "The model saw the 13 amber frames"),
    ],
)
def test_one_reads_what_one_sees(models, said):
    assert told(*models).startswith(said)


def test_arrows_are_explained_where_they_are_drawn():
    assert "every frame (the arrow); it" in told(made_up_actions(), arrows=True)


def test_nothing_is_said_to_be_invented_where_nothing_is():
    assert told(made_up_samples(prime=7)) == ""
    (group,) = groups_of({"walk": made_up_samples()}, 1)
    truth = replace(group, rows=group.rows[:1])
    assert lead([truth], [made_up_samples().facts]) == ()
    alone = replace(group, rows=group.rows[1:2])
    (said,) = lead([alone], [made_up_samples().facts])
    assert said.endswith("it invented the rest.")
