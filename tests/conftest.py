"""What tests share: the tiny profile, synthetic corpora made once, small wav files, real audio where there is some."""

import contextlib
import io
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from serlib import (
    audio,
    bundle,
    cli,
    corpora,
    evaluate,
    features,
    index,
    metrics,
    predict,
    recipes,
    settings,
    split,
    synthetic,
    weights,
)

RESULTS = Path("build", "tiny", "results")
REAL = Path(os.environ["SERLIB_DATA"]) if os.environ.get("SERLIB_DATA") else None
SCREENSHOTS = Path(__file__).parents[1] / "build" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_S = 600  # seconds that a busy machine may take for anything
HERE = re.compile(r"(http|ws)://(127\.0\.0\.1|localhost|somewhere\.test)[:/]|(data|blob|file):")  # .test is routed


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    """Run every test in the tiny profile, whatever the caller's environment says."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")  # processes take longer to start than tests to run
    monkeypatch.setenv("SERLIB_PROFILE", "tiny")
    monkeypatch.delenv("SERLIB_DATA", raising=False)
    monkeypatch.delenv("SERLIB_CACHE", raising=False)


@pytest.fixture(autouse=True)
def _no_figures():
    """Let go of the figures that a test drew; tests of what pyplot holds find none but their own."""
    yield
    if plt := sys.modules.get("matplotlib.pyplot"):
        plt.close("all")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty working folder outside the project, with its own ``build/tiny``."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_this_process(*words, folder, **environment):
    """Run a command of the terminal without a process of its own: it ends as `subprocess.run` says of one."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    environment |= {"OPENBLAS_NUM_THREADS": "1"}
    with (
        contextlib.chdir(folder),
        mock.patch.dict(os.environ, environment),
        mock.patch.object(sys, "argv", ["serlib", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    texts = (stream.buffer.getvalue().decode() for stream in (out, err))
    return subprocess.CompletedProcess(words, ended.value.code or 0, *texts)


@pytest.fixture
def terminal(workplace):
    """A function that runs a command in this process: exit code, stdout, and stderr but for what it announces."""

    def run(*words):
        done = in_this_process(*words, folder=workplace, COLUMNS="2000")  # no line is broken
        lines = [line for line in done.stderr.splitlines() if not line.startswith("serlib: profile")]
        return done.returncode, done.stdout, lines

    return run


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """All seven synthetic corpora, for reading: {corpus id: folder}. Processes that test at once share them.

    A process makes what is not there yet and renames it when it is complete; each begins with another corpus.
    """
    ours, worker = tmp_path_factory.getbasetemp(), os.environ.get("PYTEST_XDIST_WORKER", "")
    root = (ours.parent if worker else ours) / "synthetic"
    root.mkdir(exist_ok=True)
    folders = {name: root / corpora.get(name).folder for name in corpora.NAMES}
    first = 3 * int(worker.removeprefix("gw") or 0) % len(folders)
    for name, folder in [*folders.items()][first:] + [*folders.items()][:first]:
        if not folder.is_dir():
            complete = synthetic.write(name, tmp_path_factory.mktemp(name))
            with contextlib.suppress(OSError):  # the other process was first
                complete.rename(folder)
    return folders


TRAINED = (
    ("emodb", "random", "paper"),
    ("emodb", "speakers", "paper"),
    ("emodb", "random", "original-2021"),
    ("emodb", "speakers", "original-2021"),
    ("crema-d", "random", "paper"),
    ("crema-d", "speakers", "paper"),
)


@pytest.fixture(scope="session")
def trained(made, tmp_path_factory):
    """A folder with results of the tiny profile, as `load_or_run` stores them: most that the notebooks ask for."""
    ours = tmp_path_factory.getbasetemp()
    shared = (ours.parent if os.environ.get("PYTEST_XDIST_WORKER") else ours) / "trained"
    if not shared.is_dir():
        folder = tmp_path_factory.mktemp("training")
        put_at_hand(made, folder)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("SERLIB_PROFILE", "tiny")
            for corpus, protocol, recipe in TRAINED:
                evaluate.load_or_run(corpus, protocol=protocol, recipe=recipes.get(recipe))
        with contextlib.suppress(OSError):  # the other process was first
            (folder / RESULTS).rename(shared)
    return shared


def put_at_hand(corpora, folder, results=None):
    """Put corpora, {corpus id: folder}, and results where the tiny profile looks for them in a working folder."""
    (folder / "build" / "tiny").mkdir(parents=True)
    (folder / "build" / "tiny" / "datasets").symlink_to(corpora["emodb"].parent)
    if results:
        shutil.copytree(results, folder / RESULTS)


@pytest.fixture(scope="session")
def emodb(made):
    """The index table of synthetic EMODB."""
    return index.scan(made["emodb"], "emodb")


@pytest.fixture(scope="session")
def calibratable(emodb, tmp_path_factory):
    """A linear model of synthetic EMODB that can be calibrated: the classifier, its predictor, and its folder."""
    recipe, parts = recipes.get("mfcc-mean+logistic"), split.from_parts(emodb)
    X, speakers = features.extract(parts.table, features=recipe.features), parts.table["speaker"]
    folder, fold = tmp_path_factory.mktemp("models") / "b", evaluate.fit_fold(parts, X, recipe=recipe)
    voice = bundle.VoiceCentre.of(X, speakers, weight=2)
    bundle.save(folder, fold, parts, X=X, recipe=recipe, voice=voice)
    return fold.model, predict.Predictor(folder), folder


@pytest.fixture
def predictions():
    """300 random predictions of 8 speakers; disgust is an output that never occurs."""
    rng = np.random.default_rng(3)
    emotions = ("anger", "disgust", "fear", "sadness")
    y_true = rng.choice(["anger", "fear", "sadness"], 300, p=[0.6, 0.3, 0.1])
    p = rng.dirichlet(np.ones(4), 300)
    p[np.arange(300), [emotions.index(emotion) for emotion in y_true]] += 0.3
    scored = pd.DataFrame(
        {
            "utterance": [f"emodb/{k}" for k in range(300)],
            "corpus": "emodb",
            "recipe": "paper",
            "protocol": "speakers",
            "seed": 42,
            "fold": np.arange(300) % 4,
            "speaker": [f"emodb/{k % 8}" for k in range(300)],
            "y_true": y_true,
        }
    )
    return metrics.table_of(scored, p / p.sum(axis=1, keepdims=True), emotions)


@pytest.fixture
def wavs(tmp_path):
    """A function that writes small wav files, each with a sound of its own, and returns their folder."""

    def write(*paths, sr=16000, channels=1, root=tmp_path / "corpus"):
        for path in paths:
            rng = np.random.default_rng(zlib.crc32(str(path).encode()))
            noise = rng.uniform(-0.1, 0.1, (sr // 20, channels)).astype(np.float32)
            audio.write(root / path, noise, sr)
        return root

    return write


@pytest.fixture(scope="session")
def cluster():
    """A Dask cluster of two worker processes on this machine: its client."""
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as two,
        Client(two) as client,
    ):
        yield client


def worked(client):
    """Return in how many of a cluster's processes a module of ours has been at work."""
    return sum(client.run(lambda: "serlib.features" in __import__("sys").modules).values())


def free_port():
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(address, server, *, seconds=600):
    """Wait until a server answers at an address of this machine."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            assert server.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)


def offline(file):
    """Return the environment in which Python reaches this machine only, and writes to a file what else it tried."""
    file.touch()
    here = [str(Path(__file__).parent / "offline"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(here), "SERLIB_REFUSED": str(file)}


def real(corpus):
    """Return the folder of a corpus's real audio, or skip the test, saying why."""
    if REAL is None:
        pytest.skip("no real audio: SERLIB_DATA is not set")
    folder = corpora.find_folder(REAL, corpus)
    if folder is None:
        pytest.skip(f"no real audio: {corpus} is not under SERLIB_DATA")
    return folder


@pytest.fixture
def published_weights():
    """The folder of the published weights, or the test is skipped: `make weights` fetches them."""
    folder = settings.weights_folder()
    try:
        weights.find("whisper-base")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="module")
def browser():
    """Chromium, with a microphone of its own; what it hears is said by `speaking`."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no browser: `make browser` installs Chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:

        @contextlib.contextmanager
        def launch(*args, **context):
            chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu", *args])
            try:
                yield chromium.new_context(viewport={"width": 1280, "height": 900}, **context)
            finally:
                chromium.close()

        yield launch


def listened(context):
    opened, errors = context.new_page(), []
    opened.on("console", lambda said: errors.append(f"{said.text} {said.location}") if said.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda request: HERE.match(request.url) or errors.append(f"a request to {request.url}"))
    opened.set_default_timeout(1000 * PATIENCE_S)
    yield opened
    assert errors == []


def shot(page, name):
    """Leave a screenshot."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


class _Examples:
    """The examples of docstrings run in one folder of their own, on synthetic speech."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        if not isinstance(item, pytest.DoctestItem):
            return (yield)
        with contextlib.chdir(self.folder.name), mock.patch.dict(os.environ, SERLIB_PROFILE="tiny"):
            return (yield)


def pytest_configure(config):
    config.pluginmanager.register(_Examples())


def pytest_collection_modifyitems(items):
    """Begin with what waits much and takes long, so that no processor is idle at the end."""
    first = {"test_browser.py": 0, "test_notebooks.py": 1, "test_visitors.py": 2}
    items.sort(key=lambda item: first.get(item.path.name, len(first)))


def pytest_terminal_summary(terminalreporter):
    """Say how many tests of each marker ran, and how many were skipped."""
    for marker in ("browser", "corpus", "notebook", "slow", "weights"):
        n = {
            outcome: sum(marker in report.keywords for report in terminalreporter.stats.get(outcome, []))
            for outcome in ("passed", "failed", "skipped")
        }
        counts = ", ".join(f"{count} {outcome}" for outcome, count in n.items())
        terminalreporter.write_line(f"marker {marker}: {counts}")
