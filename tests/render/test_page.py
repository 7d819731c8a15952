"""The report page: whole, lossless, harmless, and legible to everyone."""

import re
from base64 import b64decode, b64encode
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from svtcli.recipe.schema import Render
from svtcli.render import page
from svtcli.render.groups import groups_of
from svtcli.render.page import page_html, sprite
from tests.render.made_up import made_up_samples
from tests.render.pages import HOSTILE, hostile_page, made_up_page, read


def pixels(img):
    """What an <img> shows, from the page alone."""
    kind, _, data = img.attributes["src"].partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(BytesIO(b64decode(data))) as picture:
        return np.array(picture)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_frame_of_every_video_is_in_the_page_unaltered(channels):
    samples = made_up_samples(channels=channels)
    groups = groups_of({"walk": samples}, 2)
    images = read(made_up_page(groups=groups)).all("img")
    videos = [row.video for group in groups for row in group.rows]
    assert len(images) == len(videos) == 8
    for image, video in zip(images, videos, strict=True):
        tiled = pixels(image)
        assert tiled.shape == (12, 7 * 20, 3)
        for time, frame in enumerate(video):
            tile = tiled[:, 20 * time : 20 * (time + 1)]
            assert np.array_equal(tile, np.broadcast_to(frame, (12, 20, 3)))


def test_long_videos_go_on_further_lines(monkeypatch):
    monkeypatch.setattr(page, "WIDEST", 65)
    video = made_up_samples().truth[0]
    tiled = sprite(video)
    assert tiled.shape == (3 * 12, 3 * 20, 3)
    for time, frame in enumerate(video):
        line, column = divmod(time, 3)
        top, left = 12 * line, 20 * column
        assert np.array_equal(tiled[top : top + 12, left : left + 20], frame)
    monkeypatch.setattr(page, "WIDEST", 5)
    assert sprite(video).shape == (7 * 12, 20, 3), "a frame a line is the least"


def test_the_script_is_told_all_that_it_needs():
    (controls,) = read(made_up_page()).all(id="player")
    told = {k: v for k, v in controls.attributes.items() if k.startswith("data-")}
    assert told == {
        "data-frames": "7",
        "data-prime": "2",
        "data-width": "20",
        "data-height": "12",
        "data-scale": "3",
        "data-fps": "8",
    }


def test_strips_name_the_frames_shown_and_mark_the_prime_ones():
    for strip in read(made_up_page()).all("table", **{"class": "strip"}):
        heads = strip.all("th", scope="col")
        assert [head.text for head in heads] == ["0", "2", "4", "6"]
        prime = [head.attributes.get("class") for head in heads]
        assert prime == ["of-prime", None, None, None]
        rows = [row.text for row in strip.all("th", scope="row")]
        assert rows == ["ground truth", "sample 1", "sample 2", "sample 3"]


def test_without_its_script_the_page_shows_only_what_is_true():
    """Whole sprites; no heads of other frames, no controls that do nothing."""
    top = read(made_up_page())
    waiting = [node for node in top.all() if "hidden" in node.attributes]
    assert {node.name for node in waiting} == {"thead"}
    for strip in top.all("table", **{"class": "strip"}):
        assert "hidden" in strip.all("thead")[0].attributes
        assert len(strip.all("img")) == 4


def test_tables_notes_and_warnings_are_told():
    top = read(made_up_page())
    (card,) = top.all("div", **{"class": "card"})
    assert card.all("caption")[0].words == "Likelihood, bits/dim8 clips"
    assert [cell.text for cell in card.all("td")] == ["3.036", "0.325"]
    (warning,) = card.all("p", **{"class": "warning"})
    assert (warning.children[0].text, warning.text) == ("Note: ", "only 8 clips")
    assert [note.text for note in card.all("li")] == ["temperature 0.9"]


def test_command_recipe_and_environment_are_told():
    (origins,) = read(made_up_page()).all(id="origins")
    assert [pre.text for pre in origins.all("pre")] == [
        "svt run walk",
        "about: a walk\n",
    ]
    assert [cell.words for cell in origins.all("tr")] == ["numpy2.0"]


def test_what_is_not_there_has_no_section():
    bare = made_up_page(tables=(), panels=(), origins=(), about="")
    top = read(bare)
    assert [section.attributes["id"] for section in top.all("section")] == ["samples"]
    whole = read(made_up_page())
    sections = [section.attributes["id"] for section in whole.all("section")]
    assert sections == ["samples", "numbers", "curves", "origins"]
    links = [link.attributes["href"] for link in whole.all("nav")[0].all("a")]
    assert links == [f"#{name}" for name in sections]


def test_hostile_names_stay_text():
    top = read(hostile_page())
    assert len(top.all("script")) == 1, "the page's own"
    assert [img for img in top.all("img") if img.attributes["src"] == "x"] == []
    attributes = {name for node in top.all() for name in node.attributes}
    assert not {name for name in attributes if name.startswith("on")}
    assert top.all("h1")[0].text == top.all("title")[0].text == HOSTILE
    assert top.all("pre")[0].text == HOSTILE
    (image,) = top.all("img")
    assert image.attributes["alt"] == f"all 7 frames of {HOSTILE} of {HOSTILE}"


def test_the_policy_allows_nothing_but_the_page_itself():
    top = read(made_up_page())
    (policy,) = top.all("meta", **{"http-equiv": "Content-Security-Policy"})
    said = dict(
        part.strip().partition(" ")[::2]
        for part in policy.attributes["content"].split(";")
    )

    def digest(name):
        (node,) = top.all(name)
        return f"'sha256-{b64encode(sha256(node.text.encode()).digest()).decode()}'"

    assert said == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": digest("style"),
        "script-src": digest("script"),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    meta = [node for node in top.all() if node.name in ("meta", "style", "script")]
    assert meta.index(policy) < meta.index(top.all("style")[0])


def test_nothing_is_fetched_from_anywhere():
    text = page_html(made_up_page())
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+|^ *//.*$", "", text, flags=re.M)
    assert not re.search(r"url\((?!#)", text)
    assert "@import" not in text
    links = read(made_up_page()).all()
    addresses = [
        node.attributes[name]
        for node in links
        for name in ("src", "href")
        if name in node.attributes
    ]
    assert all(each.startswith(("data:", "#")) for each in addresses)


def test_everything_has_a_name_for_screen_readers():
    top = read(made_up_page())
    assert top.all("html")[0].attributes["lang"] == "en"
    for name in ("button", "canvas", "input", "svg"):
        for node in top.all(name):
            hidden = node.attributes.get("aria-hidden") == "true"
            assert hidden or node.attributes.get("aria-label"), name
    assert all(image.attributes["alt"] for image in top.all("img"))
    assert all(table.all("caption") for table in top.all("table", **{"class": "strip"}))
    ids = [node.attributes["id"] for node in top.all() if "id" in node.attributes]
    assert len(ids) == len(set(ids))
    labels = {node.attributes.get("aria-labelledby") for node in top.all("section")}
    assert labels <= set(ids)
    live = [node for node in top.all() if "aria-live" in node.attributes]
    assert len(live) == 1, "sparingly"


def test_wide_content_scrolls_by_keyboard():
    for table in read(made_up_page()).all("div", **{"class": "scroll"}):
        assert table.attributes["tabindex"] == "0"
        assert table.attributes["role"] == "region"
        assert table.attributes["aria-label"]


def colours(css):
    return dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6});", css))


def luminance(colour):
    """As WCAG 2 has it."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares
    ]
    return sum(a * b for a, b in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read(dark):
    css = Path(page.__file__).with_name("page.css").read_text("utf-8")
    light, _, rest = css.partition("@media (prefers-color-scheme: dark)")
    found = colours(light) | (colours(rest.partition("\n}\n")[0]) if dark else {})
    assert luminance(found["paper"]) < 0.1 if dark else luminance(found["paper"]) > 0.9
    pairs = [
        (ink, paper)
        for ink in ("ink", "quiet", "accent", *(f"line{n}" for n in range(7)))
        for paper in ("paper", "raised")
    ]
    for ink, paper in [*pairs, ("warning", "raised"), ("on-mark", "mark")]:
        high, low = sorted(map(luminance, (found[ink], found[paper])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper)


def test_smooth_is_told_to_the_style():
    assert read(made_up_page()).all("div", **{"class": "smooth"}) == []
    assert (
        len(
            read(made_up_page(settings=Render(smooth=True))).all(
                "div", **{"class": "smooth"}
            )
        )
        == 1
    )


def test_the_same_data_make_the_same_page():
    assert page_html(made_up_page()) == page_html(made_up_page())
    other = made_up_page(settings=Render(scale=3, fps=9.0))
    assert page_html(other) != page_html(made_up_page())
