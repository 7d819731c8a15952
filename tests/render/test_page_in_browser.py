"""The report page in a real browser: it plays, steps, obeys keys, and asks nobody."""

from pathlib import Path

import numpy as np
import pytest

from svtcli.recipe.schema import Render
from svtcli.render.groups import groups_of
from svtcli.render.page import page_html
from tests.render.browser import Browser, browser, find_chromium
from tests.render.made_up import made_up_actions, made_up_samples
from tests.render.pages import hostile_page, made_up_page

FRAME = "Number(document.getElementById('scrub').value)"
PLAYING = "document.getElementById('play').getAttribute('aria-label') === 'Pause'"
SPACE, LEFT, RIGHT = (" ", 32, " "), ("ArrowLeft", 37), ("ArrowRight", 39)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program = find_chromium()
    if program is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    with browser(program, tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, tmp_path: Path) -> Browser:
    """The page of made-up samples, at a desk, standing in its first frame."""
    chromium.screen(1000, 800)
    return opened(chromium, tmp_path, page_html(made_up_page()), frame=0)


def opened(chromium, folder, text, frame=None):
    """The browser with that page; taken to `frame`, if one is named."""
    file = folder / "report.html"
    file.write_text(text, encoding="utf-8")
    chromium.open(file)
    if frame is not None:
        go = "scrub.dispatchEvent(new Event('input', { bubbles: true }))"
        chromium.run(f"scrub.value = {frame}; {go}")
    return chromium


def shown(page, selector):
    """Pixels of the canvases that the selector means."""
    values = page.run(
        f"[...document.querySelectorAll('{selector}')].map((canvas) => [...canvas"
        ".getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data])"
    )
    return np.array(values, np.uint8).reshape(len(values), 12, 20, 4)


def test_it_loads_without_errors_and_asks_nobody(page):
    page.press(*SPACE)
    page.until(f"{FRAME} > 2")
    asked = [each["request"]["url"] for each in page.named("Network.requestWillBeSent")]
    assert all(url.startswith(("file:", "data:")) for url in asked), asked
    assert sum(url.startswith("file:") for url in asked) == 1, "the page itself"
    troubles = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    assert page.named(*troubles) == []


def test_every_video_shows_the_very_pixels_of_every_frame(page):
    videos = [row.video for group in made_up_page().groups for row in group.rows]
    for time in range(7):
        canvases = shown(page, ".videos canvas")
        assert len(canvases) == len(videos)
        for canvas, video in zip(canvases, videos, strict=True):
            assert np.array_equal(canvas[..., :3], video[time])
        page.press(*RIGHT)
    assert page.run(FRAME) == 0, "after the last comes the first"


def test_nothing_stays_hidden(page):
    assert page.run("document.querySelectorAll('[hidden]').length") == 0


def test_strips_show_the_very_pixels_of_their_frames(page):
    strips = shown(page, ".strip canvas")
    videos = [row.video for group in made_up_page().groups for row in group.rows]
    wanted = np.concatenate([video[[0, 2, 4, 6]] for video in videos])
    assert np.array_equal(strips[..., :3], wanted)


def test_it_plays_by_itself_from_the_first_sampled_frame(chromium, tmp_path):
    chromium.screen(1000, 800, motion=True)
    slow = made_up_page(settings=Render(fps=0.1))
    page = opened(chromium, tmp_path, page_html(slow))
    assert (page.run(FRAME), page.run(PLAYING)) == (2, True)
    page.press(*SPACE)
    assert not page.run(PLAYING)
    page = opened(chromium, tmp_path, page_html(made_up_page()))
    page.until(f"{FRAME} === 6")
    page.until(f"{FRAME} === 0")


def test_videos_are_large_and_nothing_moves_when_they_appear(chromium, tmp_path):
    chromium.screen(1280, 800, motion=True)
    fast = made_up_page(settings=Render(scale=3, fps=40.0))
    page = opened(chromium, tmp_path, page_html(fast))
    width = page.run("document.querySelector('.videos canvas').offsetWidth")
    assert width >= 3 * 60, "three times as large as in a strip"
    shifts = page.run(
        "new Promise((done) => { let sum = 0; new PerformanceObserver((list) => {"
        " for (const each of list.getEntries()) sum += each.value; })"
        ".observe({ type: 'layout-shift', buffered: true });"
        " setTimeout(() => done(sum), 300); })"
    )
    assert shifts == 0


def test_without_scripts_it_says_so_and_shows_no_dead_controls(chromium, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(page_html(made_up_page()), encoding="utf-8")
    seen = "[...document.querySelectorAll('{}')].filter((e) => e.checkVisibility())"
    chromium.ask("Emulation.setScriptExecutionDisabled", value=True)
    try:
        chromium.load(file)
        dead = seen.format("#player, .keys, .videos")
        assert chromium.run(f"{dead}.length") == 0
        assert chromium.run(f"{seen.format('noscript .warning')}.length") == 1
    finally:
        chromium.ask("Emulation.setScriptExecutionDisabled", value=False)


def test_it_stands_still_for_those_who_want_no_motion(chromium, tmp_path):
    chromium.screen(1000, 800)
    page = opened(chromium, tmp_path, page_html(made_up_page()))
    assert (page.run(FRAME), page.run(PLAYING)) == (2, False)
    folded = "document.querySelectorAll('.clip details:not([open])').length"
    assert page.run(folded) == 0, "all frames side by side instead"


def test_it_plays_until_it_is_paused_and_goes_round(page):
    assert not page.run(PLAYING)
    page.run("document.getElementById('play').click()")
    page.until(f"{FRAME} === 6")
    page.until(f"{FRAME} === 1")
    assert page.run(PLAYING)
    page.run("document.getElementById('play').click()")
    assert not page.run(PLAYING)
    before = page.run(FRAME)
    page.run("new Promise((done) => setTimeout(done, 300))")
    assert page.run(FRAME) == before


def test_speed_is_that_of_the_recipe_times_the_choice(page):
    page.run("window.setInterval = (_, every) => { window.every = every; return 1; }")
    choose = "document.getElementById('speed')"
    page.run("document.getElementById('play').click()")
    assert page.run("every") == 1000 / 8
    page.run(f"{choose}.value = '4'; {choose}.dispatchEvent(new Event('change'))")
    assert page.run("every") == 1000 / 32


def test_buttons_and_scrubber_step_all_videos_together(page):
    page.run("document.getElementById('back').click()")
    assert page.run(FRAME) == 6
    page.run("document.getElementById('forward').click()")
    page.run("document.getElementById('forward').click()")
    assert page.run(FRAME) == 1
    page.run(
        "scrub.value = 5; scrub.dispatchEvent(new Event('input', { bubbles: true }))"
    )
    assert page.run("document.getElementById('frame').textContent") == "5"
    videos = [row.video for group in made_up_page().groups for row in group.rows]
    for canvas, video in zip(shown(page, ".videos canvas"), videos, strict=True):
        assert np.array_equal(canvas[..., :3], video[5])


def test_keys_play_and_step_except_where_they_mean_something_else(page):
    page.run(
        "addEventListener('keydown', (e) => { announced.own = e.defaultPrevented; })"
    )
    page.press(*SPACE)
    assert page.run(PLAYING)
    assert page.run("announced.own"), "space does not turn the page"
    page.press("a", 65, "a")
    assert not page.run("announced.own")
    page.press(*RIGHT)
    assert not page.run(PLAYING), "a step pauses"
    stepped = page.run(FRAME)
    page.press(*LEFT)
    assert page.run(FRAME) == stepped - 1
    page.run("document.getElementById('scrub').focus()")
    page.run("document.getElementById('announced').textContent = 'quiet'")
    page.press(*RIGHT)
    assert page.run(FRAME) == stepped, "once, by the slider itself"
    assert page.run("announced.textContent") == "quiet", "a slider speaks for itself"
    page.press(*SPACE)
    assert page.run(PLAYING)
    page.run("document.getElementById('play').focus()")
    page.press(*SPACE)
    assert not page.run(PLAYING), "once, by the button itself"
    page.run("document.getElementById('back').focus()")
    page.press(*SPACE)
    assert page.run(FRAME) == (stepped - 1) % 7, "what the button says, no more"
    page.press(*RIGHT)
    page.run("document.getElementById('speed').focus()")
    page.press(*RIGHT)
    page.run("document.querySelector('#origins summary').focus()")
    page.press(*SPACE)
    assert page.run("document.querySelector('#origins summary').parentElement.open")
    assert page.run(FRAME) == stepped
    assert not page.run(PLAYING)


def test_prime_frames_are_marked_by_colour_and_word(page):
    def told():
        border = page.run(
            "getComputedStyle(document.querySelector('.videos canvas')).borderTopColor"
        )
        kind = page.run("document.getElementById('kind').textContent")
        spoken = page.run("scrub.getAttribute('aria-valuetext')")
        return kind, spoken, border

    amber, none = "rgb(245, 166, 35)", "rgba(0, 0, 0, 0)"
    assert told() == ("prime", "frame 0, prime", amber)
    page.press(*RIGHT)
    assert told() == ("prime", "frame 1, prime", amber)
    page.press(*RIGHT)
    assert told() == ("sampled", "frame 2, sampled", none)
    said = page.run("document.getElementById('announced').textContent")
    assert said == "frame 2, sampled"


def test_the_strip_shows_where_the_player_is_and_takes_it_there(page):
    heads = "document.querySelectorAll('.strip thead .now')"
    now = f"[...{heads}].map((head) => head.textContent)"
    assert page.run(now) == ["0", "0"]
    page.run("document.querySelector('.strip tbody tr td:nth-of-type(3)').click()")
    assert page.run(FRAME) == 4
    assert page.run(now) == ["4", "4"]
    page.press(*RIGHT)
    assert page.run(now) == [], "frame 5 is not in the strip"


@pytest.mark.parametrize("width", [320, 390, 1000])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_the_screen_in_light_and_dark(chromium, tmp_path, width, dark):
    groups = groups_of({"walk": made_up_samples(frames=60)}, 1)
    long = made_up_page(groups=groups, times=tuple(range(60)))
    chromium.screen(width, 800, dark)
    page = opened(chromium, tmp_path, page_html(long))
    assert page.run("document.documentElement.scrollWidth") <= width
    paper = page.run("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(21, 23, 27)" if dark else "rgb(255, 255, 255)")
    sizes = page.run(
        "[...document.querySelectorAll('#player button, #player select')]"
        ".map((each) => Math.min(each.offsetWidth, each.offsetHeight))"
    )
    assert min(sizes) >= 44, "a finger hits it"


def test_strips_shrink_by_whole_factors_as_far_as_they_can(page):
    def width():
        page.run("new Promise(requestAnimationFrame)")
        return page.run("document.querySelector('.strip canvas').offsetWidth")

    assert width() == 60
    page.screen(320, 800)
    assert width() == 40
    page.screen(150, 800)
    assert width() == 20


def test_tab_reaches_all_controls_and_shows_where_it_is(page):
    reached = []
    for _ in range(12):
        page.press("Tab", 9)
        reached.append(page.run("document.activeElement.id"))
        outline = page.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
    controls = [each for each in reached if each]
    assert controls == ["back", "play", "forward", "scrub", "speed"]


def test_tab_stops_at_what_scrolls_and_at_nothing_that_does_not(page):
    stops = "[...document.querySelectorAll('.scroll')].map((box) => box.tabIndex)"
    page.run("document.querySelectorAll('details').forEach((each) => each.open = true)")
    page.until(f"{stops}.every((each) => each === -1)")
    page.screen(150, 800)
    page.until(f"{stops}.slice(0, 2).every((each) => each === 0)")


def test_hostile_names_do_nothing(chromium, tmp_path):
    opened(chromium, tmp_path, page_html(hostile_page()))
    assert chromium.named("Page.javascriptDialogOpening") == []
    assert chromium.named("Log.entryAdded", "Runtime.exceptionThrown") == []
    assert chromium.run("document.images.length") == 0, "strips are canvases by now"


def test_the_policy_stops_a_script_that_slips_in(chromium, tmp_path):
    text = page_html(made_up_page())
    slip = "<script>document.title = 'slipped'</script><img src='https://x.invalid/'>"
    opened(chromium, tmp_path, text.replace("<h2", f"{slip}<h2", 1))
    assert chromium.run("document.title") == "walk, step 300"
    entries = chromium.named("Log.entryAdded")
    assert all("Content Security Policy" in each["entry"]["text"] for each in entries)
    assert len(entries) == 2


def test_arrows_stand_below_every_frame_and_follow_the_player(chromium, tmp_path):
    groups = groups_of({"walk": made_up_actions()}, 2, arrows=True)
    chromium.screen(1000, 800)
    text = page_html(made_up_page(groups=groups))
    page = opened(chromium, tmp_path, text, frame=0)
    count = "document.querySelectorAll('{}').length"
    assert page.run(count.format(".strip svg.dial")) == 2 * 3 * 4
    assert page.run(count.format(".strip .dot")) == 2 * 3, "frames 2, 4, 6 of zero"
    for dots in (0, 0, 2):
        assert page.run(count.format(".videos svg.dial")) == 2 * 3
        assert page.run(count.format(".videos .dot")) == dots
        page.press(*RIGHT)
    turned = "document.querySelector('.videos .dial g').getAttribute('transform')"
    assert page.run(turned) in ("rotate(0)", "rotate(-0)")
