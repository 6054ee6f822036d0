"""What a person does, in a real browser: JupyterLab and the app in Chromium, driven through Playwright.

Every test leaves its screenshots in `build/screenshots/`, and fails if the page's console has an error, or if the page
or its server reaches for anything outside this machine.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import jupyter_client
import numpy as np
import pytest

import build
from conftest import PATIENCE_S, REAL, free_port, listened, offline, put_at_hand, real, shot, wait_for
from serlib import audio, bundle, corpora, index, synthetic, widgets

# Chromium itself crashes now and then; where it does so twice, it is the page's fault.
pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=1, only_rerun="browser has been closed|Page crashed")]

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
SETTINGS = {  # every cell is drawn, so that all widgets are on the page; no news and no updates are asked for
    "@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False},
}
RUN_ALL = "Run All Cells"
RUNNING = r"""[...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].some(at => /[*\d]/.test(at.textContent))"""
FAILED = """document.querySelector('[data-mime-type="application/vnd.jupyter.stderr"]')?.textContent ?? ''"""
ALL_RAN = r"""[...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].every(
  at => /^$|\[\d+\]/.test(at.textContent))"""  # collapsed cells have no prompt


@pytest.fixture
def page(browser):
    """A page whose console is listened to: an error on it fails the test."""
    with browser() as context:
        yield from listened(context)


@pytest.fixture(scope="module")
def lab(made, trained, tmp_path_factory):
    """JupyterLab in the tiny profile: a function that copies a notebook there, and returns its address."""
    folder = tmp_path_factory.mktemp("lab")
    put_at_hand(made, folder, trained)
    (folder / "results").symlink_to(NOTEBOOKS.parent / "results")  # they come with the project
    for name, chosen in SETTINGS.items():
        file = folder / "settings" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(chosen))
    port, token = free_port(), "a-token-of-the-tests"
    address = f"http://127.0.0.1:{port}"

    def opened(name):
        shutil.copy(NOTEBOOKS / f"{name}.ipynb", folder)  # without what a test before has left in it
        return f"{address}/doc/tree/{name}.ipynb?token={token}"

    command = ["jupyterlab", "--no-browser", f"--port={port}", "--ip=127.0.0.1", f"--IdentityProvider.token={token}"]
    with served([*command, "--allow-root", "."], folder, f"{address}/api?token={token}"):
        yield opened


@contextlib.contextmanager
def served(module, folder, address):
    """Run a server, with a log beside what it serves, until it is no longer needed."""
    refused = folder / "refused.txt"
    env = os.environ | offline(refused)
    env |= {
        "SERLIB_PROFILE": "tiny",
        "LOKY_MAX_CPU_COUNT": "1",  # processes take longer to start than what they would do
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),  # none that another server left open
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_PATH": str(folder),  # the app's template
        "JUPYTER_CONFIG_PATH": str(folder),
        "TQDM_DISABLE": "1",
    }
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen([sys.executable, "-m", *module], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            wait_for(address, server)
            with awake(folder / "runtime"):
                yield
        finally:
            server.terminate()
            server.wait(PATIENCE_S)
    assert refused.read_text() == ""


@contextlib.contextmanager
def awake(folder):
    """Ask each kernel something every few seconds: it may leave a request unread until the next one comes.

    See ipython/ipykernel#1554.
    """
    ended = threading.Event()

    def ask():
        while not ended.wait(build.AWAKE_S):
            for file in folder.glob("kernel-*.json"):
                with contextlib.suppress(OSError, ValueError):  # not written yet, or the kernel is gone
                    kernel = jupyter_client.BlockingKernelClient(connection_file=str(file))
                    kernel.load_connection_file()
                    kernel.kernel_info()
                    kernel.shell_channel.socket.close(linger=1000)  # what was asked is sent first
                    kernel.stop_channels()

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        yield
    finally:
        ended.set()
        asking.join()


def run_all(page, address, *, meanwhile=lambda: None):
    """Open a notebook, run all its cells, do something meanwhile, and wait until the last cell has ended."""
    page.goto(address)
    page.locator(".jp-KernelName", has_text="Python").wait_for()  # a click before would ask for a kernel

    def run():
        page.get_by_role("menuitem", name="Run", exact=True).click(timeout=5_000)
        page.get_by_role("menuitem", name=RUN_ALL, exact=True).click(timeout=5_000)

    until(page, RUNNING, run)  # where the notebook is not ready yet, the menu does nothing
    meanwhile()
    page.wait_for_function(f"{ALL_RAN} || /Error/.test({FAILED})")
    assert "Error" not in page.evaluate(FAILED)


def until(page, condition, act, arg=None):
    """Do something as often as it takes: a page that is not ready, or moves, may pass over it."""
    for _ in range(PATIENCE_S // 5):
        with contextlib.suppress(sys.modules["playwright.sync_api"].TimeoutError):
            act()
            return page.wait_for_function(condition, arg=arg, timeout=5_000)
    raise AssertionError(f"{condition} is not so")


CHANGED = "([img, before]) => img.src !== before"


def changed(image, before):
    """Wait until a picture is another than it was."""
    image.page.wait_for_function(CHANGED, arg=[image.element_handle(), before])


def choose_theme(page, theme):
    """Change JupyterLab's theme, as its users do."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Theme$")).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{theme}$")).click()
    page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=theme)


def shot_in_the_dark(page, shown, name):
    """Leave a screenshot of the dark theme, and return to the light one."""
    choose_theme(page, "JupyterLab Dark")
    page.wait_for_timeout(500)
    shown.scroll_into_view_if_needed()
    shot(page, name)
    choose_theme(page, "JupyterLab Light")


def moved(page, locator, attribute, before):
    """Wait until an element's attribute is another than it was."""
    page.wait_for_function(
        "([element, name, before]) => (element[name] ?? '') !== before",
        arg=[locator.element_handle(), attribute, before],
    )


def test_corpora_are_explored_by_mouse_and_keyboard_in_both_themes(page, lab):
    page.set_viewport_size({"width": 1280, "height": 2400})
    run_all(page, lab("01_corpus_overview"))
    widget = page.locator(".jp-OutputArea-output .widget-vbox", has_text="colour by").first
    chart, chosen = widget.locator(".serlib-picture img"), widget.locator(".serlib-map .details")
    plot, title = widget.locator(".serlib-map .chart svg"), widget.locator(".serlib-map .title")
    page.wait_for_function("document.querySelectorAll('.serlib-map .chart .mark').length > 100")
    widget.scroll_into_view_if_needed()
    shot(widget, "01-explorer")

    before = chart.get_attribute("src")
    for box in widget.locator("input[type=checkbox]").all()[2:]:
        box.uncheck()
    changed(chart, before)
    page.wait_for_function(
        "document.querySelectorAll('.serlib-map .legend [role=group]:last-child button').length == 2"
    )

    before = chart.get_attribute("src")
    widget.get_by_role("button", name="speaker", exact=True).click()
    changed(chart, before)
    shot(widget, "01-explorer-speakers")

    place = widget.locator(".serlib-map .chart .mark").first.bounding_box()
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    chosen.locator("img").wait_for()
    page.wait_for_function("document.querySelector('.serlib-map audio').currentTime > 0")
    caption = chosen.locator(".caption").inner_text()
    assert "speaker" in caption
    assert chosen.locator("img").get_attribute("alt")

    plot.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    sound, before = chosen.locator("audio").get_attribute("src"), chart.get_attribute("src")
    page.keyboard.press("Enter")
    moved(page, chosen.locator("audio"), "src", sound)
    assert chosen.locator(".caption").inner_text() != caption
    changed(chart, before)  # marked there
    widget.locator(".serlib-map .legend button").first.click()
    assert widget.locator(".serlib-map .chart .mark.dim").count()
    page.mouse.move(0, 0)
    plot.focus()
    page.keyboard.press("ArrowLeft")
    shot(widget, "01-explorer-chosen")

    before = title.inner_text()
    widget.get_by_role("button", name="t-SNE", exact=True).click()
    moved(page, title, "innerText", before)
    assert "t-SNE" in title.inner_text()
    before = chart.get_attribute("src")
    widget.get_by_role("button", name="emotion", exact=True).click()
    changed(chart, before)
    shot_in_the_dark(page, widget, "01-explorer-dark")


WATCH = """image => {
  document.addEventListener("pointerup", () => { window.released = performance.now(); }, true);
  image.addEventListener("load", () => requestAnimationFrame(() => { window.seen = performance.now(); }));
}"""


def test_sliders_move_the_pictures_and_what_the_mfccs_keep_is_heard(page, lab):
    page.set_viewport_size({"width": 1280, "height": 1400})
    run_all(page, lab("02_preprocessing_mfcc"))
    widget = page.locator(".jp-OutputArea-output .widget-vbox", has_text="mel bands").first
    widget.scroll_into_view_if_needed()
    image = widget.locator(".serlib-picture img")
    image.evaluate(WATCH)
    for name in ("window", "hop", "mel bands", "MFCCs"):
        handle = widget.locator(".widget-slider", has_text=name).locator(".noUi-handle")

        def drag(handle=handle):
            place = handle.bounding_box()
            x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
            page.mouse.move(x, y)
            page.mouse.down()
            page.mouse.move(x - 70, y, steps=4)
            page.mouse.up()

        until(page, CHANGED, drag, [image.element_handle(), image.get_attribute("src")])
        page.wait_for_function("window.seen > window.released")
        print(f"{name}: {page.evaluate('window.seen - window.released'):.0f} ms from release to new pixels")
    assert "16 MFCCs" not in image.get_attribute("alt")
    shot(widget, "02-laboratory")

    widget.get_by_role("button", name="Hear what the MFCCs keep").click()
    shot(widget, "02-laboratory-at-work")
    inverted = widget.locator("audio").nth(1)
    inverted.wait_for()
    page.wait_for_function("sound => sound.duration > 0.1", arg=inverted.element_handle())
    shot_in_the_dark(page, widget, "02-laboratory-dark")


@pytest.fixture
def spoken(tmp_path):
    """A sentence as Chromium's microphone plays it, again and again: real if there is some, else synthetic."""
    folder = REAL and corpora.find_folder(REAL, "emodb")
    sr = 48000
    if folder:
        signal = audio.load(sorted(folder.glob("**/03a01Wa.wav"))[0], sr)
    else:
        signal = synthetic.speech("anger", "03", gender="male", sr=sr)
    audio.write(tmp_path / "spoken.wav", signal, sr)
    return tmp_path / "spoken.wav"


def microphone(wav):
    """Return what tells Chromium to allow the microphone, and what it hears."""
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    return (*fake, f"--use-file-for-fake-audio-capture={wav}")


def record(page, recorder, *, seconds):
    """Press record, wait until the level moves and the time has come, and press stop."""
    recorder.get_by_role("button", name="Record").press("Enter")
    stop = recorder.get_by_role("button", name="Stop")
    stop.wait_for()
    level = recorder.get_by_role("meter")
    page.wait_for_function("meter => meter.getAttribute('aria-valuenow') > -50", arg=level.element_handle())
    page.wait_for_timeout(1000 * seconds)
    shot(page, "06-recording")
    stop.press("Enter")


def test_a_recorded_sentence_is_answered(browser, lab, spoken):
    with browser(*microphone(spoken)) as context:
        for page in listened(context):
            run_all(page, lab("09_prediction"))
            widget = page.locator(".jp-OutputArea-output", has=page.locator(".serlib-recorder")).last
            recorder = widget.get_by_role("group", name="recorder")
            recorder.scroll_into_view_if_needed()
            assert "not stored" in recorder.get_by_role("status").inner_text()
            choose_model(widget, "emodb-paper")
            record(page, recorder, seconds=2.5)
            widget.get_by_text("How far to trust it: it recognises 58 %").wait_for()
            assert "the answer is below" in recorder.get_by_role("status").inner_text()
            image = widget.locator("img")
            image.scroll_into_view_if_needed()
            page.wait_for_timeout(500)
            shot(page, "06-answer")
            before = image.get_attribute("src")
            widget.locator("select").select_option(index=2)  # after those that come with serlib
            changed(image, before)
            widget.get_by_text("knows nothing but synthetic speech").wait_for()
            shot_in_the_dark(page, recorder, "06-answer-dark")


@pytest.fixture(scope="module")
def app(made, tmp_path_factory):
    """The app, as `make app` serves it, in the tiny profile: its address."""
    folder = tmp_path_factory.mktemp("app")
    put_at_hand(made, folder)
    shutil.copytree(NOTEBOOKS.parent / "serlib" / "app", folder, dirs_exist_ok=True)
    port, token = free_port(), "a-token-of-the-tests"
    address, options = f"http://127.0.0.1:{port}", ["--no-browser", f"--port={port}", f"--token={token}"]
    with served(["voila", "app.ipynb", *options], folder, f"{address}/voila/static/voila.js"):
        yield f"{address}/?token={token}"


def choose_model(where, name):
    """Choose the model whose name begins so."""
    models = where.locator("select").filter(has_text="strangers")
    names = models.locator("option").all_text_contents()
    models.select_option(index=[one.startswith(name) for one in names].index(True))


def test_the_app_answers_a_recorded_sentence_on_one_screen_and_shows_no_code(browser, app, spoken):
    with browser(*microphone(spoken)) as context:
        for page in listened(context):
            page.goto(app)
            recorder = page.get_by_role("group", name="recorder")
            recorder.wait_for()
            choose_model(page, "emodb-paper")
            record(page, recorder, seconds=2.5)
            page.get_by_text("How far to trust it: it recognises 58 %").wait_for()
            bars = page.get_by_alt_text("Bars of probability by emotion")
            bars.wait_for()
            for scheme, ground in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(17, 17, 17)")):
                page.emulate_media(color_scheme=scheme)
                for width, height in ((1280, 800), (390, 844)):
                    page.set_viewport_size({"width": width, "height": height})
                    page.wait_for_timeout(300)
                    shot(page, f"app-answer-{scheme}-{width}")
                    place = bars.bounding_box()
                    assert place["y"] + place["height"] <= height, "the answer is on the first screen"
                    assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert page.evaluate("getComputedStyle(document.body).backgroundColor") == ground
            page.set_viewport_size({"width": 1280, "height": 900})
            page.locator(".serlib-map .chart .mark").first.wait_for()
            page.locator(".serlib-map").scroll_into_view_if_needed()
            shot(page, "app-corpora")
            assert page.get_by_text("from serlib import").count() == 0
            assert page.get_by_text("Traceback").count() == 0


@pytest.mark.corpus
@pytest.mark.weights
def test_a_stranger_is_understood_once_the_app_knows_the_voice(browser, app, published_weights, tmp_path):
    """A woman of TESS, which no model of ours has heard: five sentences to know her by, and ten others."""
    folder, wav = real("tess"), tmp_path / "spoken.wav"
    table, emotions = index.scan(folder, "tess"), bundle.read(bundle.find("strangers")).emotions
    said = table[table["speaker"] == "tess/YAF"].set_index(["sentence", "emotion"])["path"]
    words = sorted(said.index.unique("sentence"))
    moods = [(words[k % len(words)], emotions[k % len(emotions)]) for k in range(15)]

    def say(sentence, mood):
        audio.write(wav, audio.load(folder / said[sentence, mood], 48000), 48000)  # read each time it is listened to
        record(page, recorder, seconds=2.5)

    with browser(*microphone(f"{wav}%noloop")) as context:
        for page in listened(context):
            page.goto(app)
            recorder = page.get_by_role("group", name="recorder")
            recorder.wait_for()
            page.get_by_role("button", name="Learn my voice").click()
            page.get_by_text("0 of 5 sentences").wait_for()
            for number, spoken in enumerate(moods[10:], 1):
                say(*spoken)
                page.get_by_text(f"{number} of 5 sentences" if number < 5 else "5 sentences: the model").wait_for()
            shot(page, "app-known")
            page.get_by_role("button", name="How do I sound?").click()
            page.get_by_text("The model knows 5 of your sentences").wait_for()
            image, answers = page.locator(".serlib-picture img").first, []
            for spoken in moods[:10]:
                before = image.get_attribute("src")
                say(*spoken)
                changed(image, before)
                page.get_by_text("in corpora it never heard (EMOVO, SAVEE, TESS), 64 % after 5 sentences").wait_for()
                answers.append(page.locator("[role=status] b").first.inner_text())
            print([*zip(moods[:10], answers, strict=True)])
            assert sum(mood == answer for (_, mood), answer in zip(moods, answers, strict=False)) >= 6
            shot(page, "app-stranger")


def test_where_the_microphone_is_refused_a_file_does(browser, lab, made, tmp_path):
    speech = sorted(made["emodb"].glob("**/*.wav"))[0]
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 32000)
    audio.write(tmp_path / "noise.wav", noise, 16000)
    with browser("--use-fake-device-for-media-stream", "--deny-permission-prompts") as context:
        for page in listened(context):
            run_all(page, lab("09_prediction"))
            widget = page.locator(".jp-OutputArea-output", has=page.locator(".serlib-recorder")).last
            recorder = widget.get_by_role("group", name="recorder")
            recorder.get_by_role("button", name="Record").press("Enter")
            recorder.get_by_text("The microphone may not be used").wait_for()
            assert "upload a recording instead" in recorder.get_by_role("status").inner_text()
            widget.locator("select").select_option(index=2)  # the model that was trained on such speech
            image, before = widget.locator("img"), None
            for file, answer in ((speech, "It sounds most like"), (tmp_path / "noise.wav", "declines to answer")):
                with page.expect_file_chooser() as chooser:
                    widget.get_by_role("button", name="Upload a file").click()
                chooser.value.set_files(file)
                widget.get_by_text(answer).wait_for()
                image.wait_for()
                changed(image, before)
                before = image.get_attribute("src")
                recorder.scroll_into_view_if_needed()
                shot(page, f"06-refused-{file.stem}")


PAGE = """<!doctype html><meta charset="utf-8"><title>recorder</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/recorder.css"><body><div id="here"></div><script type="module">
import recorder from "/recorder.js";
window.sent = [];
const traits = { max_duration_s: LIMIT, max_bytes: 8e6 };
const send = (content, _callbacks, [buffer]) => sent.push({ ...content, pcm: Array.from(new Int16Array(buffer)) });
recorder.render({ model: { get: (name) => traits[name], send }, el: document.querySelector("#here") });
</script>"""


def alone(page, site, *, limit=30):
    """Open a page with nothing but the recorder, and return it."""

    def answer(route):
        name = route.request.url.rsplit("/", 1)[1]
        kind = {"js": "text/javascript", "css": "text/css"}.get(name.rsplit(".", 1)[-1], "text/html")
        body = (widgets.base.STATIC / name).read_text() if name else PAGE.replace("LIMIT", str(limit))
        route.fulfill(body=body, content_type=kind)

    page.route(f"{site}/*", answer)
    page.goto(f"{site}/")
    return page.get_by_role("group", name="recorder")


@pytest.mark.parametrize("has_worklet", [True, False], ids=["worklet", "script processor"])
def test_what_is_recorded_is_what_was_played(browser, tmp_path, has_worklet):
    sr, f0 = 48000, 440
    tone = 0.5 * np.sin(2 * np.pi * f0 * np.arange(sr) / sr)
    audio.write(tmp_path / "tone.wav", tone, sr)
    with browser(*microphone(tmp_path / "tone.wav")) as context:
        for page in listened(context):
            if not has_worklet:
                page.add_init_script("delete window.AudioWorkletNode")
            recorder = alone(page, "http://localhost", limit=2)
            recorder.get_by_role("button", name="Record").click()
            recorder.get_by_text("The limit of 2 s is reached. Recorded 2.0 s").wait_for()
            (sent,) = page.evaluate("sent")
            assert len(sent["pcm"]) == 2 * sent["sample_rate_hz"]
            pcm = np.array(sent["pcm"][sent["sample_rate_hz"] // 2 :]) / 32768
            spectrum = abs(np.fft.rfft(pcm))
            assert spectrum.argmax() * sent["sample_rate_hz"] / len(pcm) == pytest.approx(f0, abs=2)
            assert abs(pcm).max() == pytest.approx(0.5, abs=0.05)
            assert recorder.get_by_role("button", name="Record").is_enabled()


def test_where_there_is_no_microphone_or_no_secure_page_it_is_said(page):
    recorder = alone(page, "http://localhost")
    recorder.get_by_role("button", name="Record").click()
    recorder.get_by_text("No microphone was found").wait_for()
    recorder = alone(page, "http://somewhere.test")
    recorder.get_by_text("Recording needs a secure page").wait_for()
    assert recorder.get_by_role("button", name="Record").is_disabled()
    shot(page, "06-insecure")


def test_another_protocol_is_chosen_and_the_leaks_change(page, lab):
    run_all(page, lab("03_split"))
    widget = page.locator(".jp-OutputArea-output .widget-vbox", has_text="fold shown").first
    widget.scroll_into_view_if_needed()
    image, facts = widget.locator("img").first, widget.locator("ul")
    assert "are by a speaker who is trained on" in facts.inner_text()
    shot(page, "03-random")
    before = image.get_attribute("src")
    widget.locator("select").nth(1).select_option(label="one speaker at a time (speaker-independent)")
    changed(image, before)
    facts.get_by_text("no tested utterance is by a speaker who is trained on").wait_for()
    assert widget.locator("select").nth(3).locator("option").count() == 7
    shot(page, "03-loso")


def copied(page, address, old, new):
    """Put a copy of a notebook with other code beside it, and return the copy's address."""
    stored = address.replace("/doc/tree/", "/api/contents/")
    notebook = page.request.get(stored).json()["content"]
    text = json.dumps(notebook)
    assert text.count(old) == 1
    changed = {"type": "notebook", "format": "json", "content": json.loads(text.replace(old, new))}
    assert page.request.put(stored.replace(".ipynb", "-copy.ipynb"), data=changed).ok
    return address.replace(".ipynb", "-copy.ipynb")


def test_a_training_is_stopped_while_the_next_cell_waits_for_it(page, lab):
    train = "widgets.watch_training(parts, X, recipe=recipe, epochs="
    address = copied(page, lab("05_training"), f"{train}epochs", f"{train}2000")
    stop = page.get_by_role("button", name="Stop, and keep what is learned")
    said = page.locator(".widget-html", has_text="what was learned till then is kept")

    def press():
        stop.wait_for()
        stop.scroll_into_view_if_needed()
        page.get_by_text(re.compile("epoch .* of 2,000, about .* left")).wait_for()
        page.wait_for_function("document.querySelector('.serlib-curves polyline').points.length > 50")
        shot(page, "04-training")
        stop.click()
        said.wait_for()

    run_all(page, address, meanwhile=press)
    n_epochs = int(re.search("stopped after ([0-9,]+) of 2,000", said.inner_text()).group(1).replace(",", ""))
    assert 50 < n_epochs < 2000
    assert stop.is_disabled()
    assert page.get_by_text(f"epochs     {n_epochs}").count()
    stop.scroll_into_view_if_needed()
    shot(page, "04-stopped")
    shot_in_the_dark(page, stop, "04-stopped-dark")


def test_a_cell_of_the_matrix_is_chosen_with_the_keyboard_and_an_utterance_is_played(page, lab):
    run_all(page, lab("06_evaluation"))
    matrix = page.locator(".serlib-matrix")
    matrix.evaluate("matrix => matrix.closest('.jp-OutputArea-output').scrollIntoView()")
    cells = matrix.locator("[role=gridcell]")
    cells.first.focus()
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    chosen = matrix.locator("[aria-selected=true]")
    assert chosen.get_attribute("aria-label").startswith("boredom recognised: ")
    heading = matrix.locator("h4", has_text="boredom recognised")
    heading.wait_for()
    assert heading.inner_text() == chosen.get_attribute("aria-label")
    rows = matrix.locator("tr[data-utterance]")
    assert rows.count() == int(chosen.inner_text()) > 0
    shot(page, "05-cell")
    rows.first.get_by_role("button").click()
    page.wait_for_function("document.querySelector('.serlib-matrix audio')?.currentTime > 0")
    assert matrix.locator("audio").get_attribute("aria-label") == rows.first.get_attribute("data-utterance")
    shot(page, "05-played")
    shot_in_the_dark(page, matrix, "05-played-dark")
    cells.nth(2).click()
    matrix.locator("h4", has_text="anger taken for disgust").wait_for()
    assert matrix.locator("audio").count() == 0
