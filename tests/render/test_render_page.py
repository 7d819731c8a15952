"""The page among the pictures: fresh while nothing that it shows has changed."""

from dataclasses import replace

import pytest

from svtcli.evaluate.results import LikelihoodResult, ModelScore, write_result
from svtcli.failure import BadData
from svtcli.recipe.load import LoadedRecipe, load_recipe, recipe_from_text
from svtcli.recipe.schema import Render
from svtcli.render import stage as stage
from svtcli.render.stage import render
from svtcli.run.directory import RunFolder, write_run
from svtcli.run.progress import Silent
from svtcli.run.samples import write_samples
from tests.render.made_up import made_up_samples

PAGE = Render(formats=("html",))
SCORED = LikelihoodResult(
    *("walk", 300, "bits_per_dim", "walks", "test", 8, 2, 3, 2),
    *((ModelScore("trained", 3.0, None, (3.0,)),), None, ""),
)


def write_recipe(run, text):
    """Write recipe and facts of a run."""
    loaded = LoadedRecipe("walk", recipe_from_text(text, "walk.yaml"), (), "walk.yaml")
    write_run(run, loaded, devices=["cpu"], data_fingerprint="")


@pytest.fixture
def run(tmp_path):
    """A run with samples and scores, untrained."""
    folder = RunFolder(tmp_path / "walk")
    write_samples(folder.samples / "300", made_up_samples())
    write_recipe(folder, "data: {kind: folder}")
    write_result(folder.eval / "300-test.json", SCORED)
    return folder


def test_a_recipe_may_ask_for_it(tmp_path):
    (tmp_path / "walk.yaml").write_text("data: {kind: folder, source: a}\n")
    asked = ["render.formats=[png, html]"]
    loaded = load_recipe(str(tmp_path / "walk.yaml"), asked)
    assert loaded.recipe.render.formats == ("png", "html")


def test_it_is_one_file_beside_the_pictures_and_has_the_runs_numbers(run):
    both = Render(formats=("png", "html"))
    strip, page = render(run.samples / "300", run.figures, both, Silent())
    assert (strip.name, page.name) == ("strip.png", "report.html")
    names = {path.name for path in run.figures.iterdir()}
    assert names == {"strip.png", "report.html", "figures.json"}
    assert "Likelihood, bits/dim" in page.read_text(encoding="utf-8")


def test_each_clip_may_have_its_own(run):
    each = Render(formats=("html",), each="clip")
    pages = render(run.samples / "300", run.figures, each, Silent())
    assert [page.name for page in pages] == ["report-1.html", "report-2.html"]
    assert ["clip-1" in page.read_text(encoding="utf-8") for page in pages] == [
        False,
        True,
    ]


def test_it_holds_the_very_pixels_and_leaves_it_to_the_browser_to_enlarge(run):
    smooth = Render(formats=("html",), smooth=True, scale=3)
    (page,) = render(run.samples / "300", run.figures, smooth, Silent())
    text = page.read_text(encoding="utf-8")
    assert 'data-width="20" data-height="12" data-scale="3"' in text
    assert 'class="smooth"' in text


def stale(run, settings):
    """Names of the pictures that would be drawn."""
    paths = render(run.samples / "300", run.figures, settings, Silent(), dry_run=True)
    return [path.name for path in paths]


def test_it_is_fresh_until_a_file_that_it_shows_changes(run):
    samples = run.samples / "300"
    render(samples, run.figures, PAGE, Silent())
    other = replace(SCORED, step=299)
    changes = (
        lambda: write_result(run.eval / "300-test.json", other),
        lambda: write_result(run.eval / "300-new.json", SCORED),
        lambda: run.metrics.write_text('{"step": 1, "bits_per_dim": 8.0}\n'),
        lambda: write_recipe(run, "about: more\ndata: {kind: folder}"),
    )
    for number, change in enumerate(changes):
        assert not stale(run, PAGE)
        change()
        assert stale(run, PAGE) == ["report.html"], number
        render(samples, run.figures, PAGE, Silent())
    (run.figures / "report.html").unlink()
    assert stale(run, PAGE) == ["report.html"]


def test_pictures_alone_do_not_depend_on_scores(run):
    only = Render(formats=("png",))
    render(run.samples / "300", run.figures, only, Silent())
    write_result(run.eval / "300-new.json", SCORED)
    assert not stale(run, only)


def test_a_broken_score_is_refused_before_anything_is_drawn(run):
    (run.eval / "300-bad.json").write_text("{")
    both = Render(formats=("gif", "html"))
    for dry_run in (True, False):
        with pytest.raises(BadData, match=r"300-bad\.json: damaged"):
            render(run.samples / "300", run.figures, both, Silent(), dry_run=dry_run)
    assert not run.figures.exists()


def test_a_page_that_is_slow_to_open_is_said(run, monkeypatch):
    class Notes(Silent):
        def note(self, line):
            notes.append(line)

    notes = []
    render(run.samples / "300", run.path / "a", PAGE, Notes())
    assert notes == []
    monkeypatch.setattr(stage, "LARGE", 10)
    render(run.samples / "300", run.path / "b", PAGE, Notes())
    assert notes == [
        "report.html has 0 MB; show fewer videos with --rows or --per-prime"
    ]


def test_a_clip_whose_name_is_no_text_has_a_page(run):
    samples = made_up_samples()
    facts = replace(samples.facts, clips=("a\udcff", "b"))
    write_samples(run.samples / "300", replace(samples, facts=facts))
    (page,) = render(run.samples / "300", run.figures, PAGE, Silent())
    assert "<bdi>a?</bdi></h3>" in page.read_text(encoding="utf-8")
