"""The work is killed at random moments, as `benchmarks/faults.py` does it more often, and at every move of a file."""

import contextlib
import functools
import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import faults
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from serlib import cache, evaluate, figures, index, model
from serlib.settings import RECIPES

N_KILLS = 3
STEPS = ("index", "features", "train", "evaluate", "download, an archive", "download, file by file", "figures")


@pytest.fixture(scope="module")
def killer(tmp_path_factory):
    return faults.Killer(tmp_path_factory.mktemp("faults"), imported=[__name__])


@pytest.fixture(scope="module")
def steps(killer):
    with faults.published() as url:
        yield faults.steps(killer.data, url)


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_is_killed_leaves_the_old_or_the_new_and_ends_well_when_done_again(killer, steps, name):
    step = steps[name]
    old, new, seconds = killer.prepare(name, step)
    assert old != new
    for number in range(N_KILLS):
        row = killer.strike(name, step, old, new, after=faults.moment(name, number, seconds))
        assert row["half"] == row["lost"] == row["left"] == 0, row
        assert row["completed"], row


def write_table(seed):
    table = pd.DataFrame({"utterance": [f"emodb/{seed}"], "corpus": "emodb"})
    table.attrs = {"seed": seed}
    index.write(table, "table.csv")


def write_result(seed):
    rows = {"utterance": ["a", "b"], "corpus": "emodb", "recipe": "paper", "protocol": "loso", "seed": seed, "fold": 0}
    predictions = pd.DataFrame(rows | {"speaker": "s", "y_true": "fear", "y_pred": "fear", "p_anger": 0, "p_fear": 1})
    evaluate.write(evaluate.Result(predictions, predictions, predictions, {"seed": seed}), "result.csv.gz")


def write_picture(seed):
    figure, ax = plt.subplots()
    ax.plot([0, seed])
    figures.save(figure, "figures/corpora.png", about={"seed": seed})


class Network:
    """As much of a network as can be saved, quickly."""

    def __init__(self, seed):
        self.content = f"network {seed}"

    def save(self, file):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("model.weights.h5", self.content)

    def export(self, file, **_):
        file.write_text(self.content)

    def __call__(self, X, **_):
        return np.ones((len(X), 2)) / 2


def write_bundle(seed):
    contract = model.Bundle(
        corpus="emodb",
        synthetic=True,
        emotions=("anger", "fear"),
        recipe=RECIPES["paper"],
        epochs=1,
        seed=seed,
        split={"protocol": "random", "n_train": 1, "n_validation": 1, "validation": "x"},
        speakers=(),
        score={"protocol": "random", "n": 1, "accuracy": 1.0, "uar": 1.0},
        familiar=model.Familiar.learn(np.eye(50, dtype=np.float32), list("ab") * 25).to_dict(),
    )
    history = pd.DataFrame([[1, seed, 0, 0, 0]], columns=model.HISTORY_COLUMNS[1:])
    model.save("bundle", Network(seed), history, contract)


def write_apart(seed):
    """Replace two files one after the other: what must not be."""
    for name in ("table.json", "table.csv"):
        Path("new").write_text(f"{name} {seed}")
        Path("new").replace(name)


def write_away(seed):
    """Move the old away, and then the new to its place: what must not be, either."""
    Path("new").write_text(f"table {seed}")
    if Path("table.csv").exists():
        Path("table.csv").rename("away")
    Path("new").rename("table.csv")


def replacing(write, look):
    """Return the step that writes again what was written before, and now is another."""
    return faults.Step(functools.partial(write, 2), (functools.partial(write, 1),), look)


def kills_at_moves(killer, name, step):
    """Kill a step before and after each of its moves; return what `strike` says of each."""
    old, new, _ = killer.prepare(name, step)
    assert old != new
    rows = []
    for n, is_done in itertools.product(range(1, 99), (False, True)):
        row = killer.strike(name, step, old, new, act=faults.Dying(step.act, n, is_done))
        if not row["killed"]:
            return pd.DataFrame(rows)
        rows.append(row)
    raise AssertionError(f"{name} is moved too often")


@pytest.mark.parametrize(
    ("write", "look", "n_moves"),
    [
        (write_table, faults.look_at_table, 3),
        (write_result, faults.look_at_result, 5),
        (write_picture, faults.look_at_pictures, 3),
        (write_bundle, faults.look_at_bundle, 6),  # three of them of the contract, inside the new folder
    ],
)
def test_a_kill_at_any_move_leaves_the_old_or_the_new(killer, write, look, n_moves):
    rows = kills_at_moves(killer, write.__name__, replacing(write, look))
    assert len(rows) == 2 * n_moves
    assert (rows[["half", "lost", "left"]] == 0).all(axis=None), rows
    assert rows["completed"].all()
    assert rows["old"].any()
    assert rows["new"].any()
    assert rows["new"].is_monotonic_increasing  # there is one moment from which the new counts


def test_a_kill_at_any_move_of_a_download_leaves_all_or_nothing(killer, steps):
    rows = kills_at_moves(killer, "download, an archive", steps["download, an archive"])
    assert (rows[["half", "lost", "left"]] == 0).all(axis=None), rows
    assert rows["completed"].all()
    assert rows["new"].tolist() == [0] * (len(rows) - 1) + [1]  # its last move is the one that counts


@pytest.mark.parametrize(("write", "what"), [(write_apart, "half"), (write_away, "lost")])
def test_what_is_not_replaced_at_once_is_found_out(killer, write, what):
    rows = kills_at_moves(killer, write.__name__, replacing(write, faults.look_at_table))
    assert rows[what].any()


@pytest.mark.parametrize("name", ["index", "train", "evaluate"])
def test_three_processes_that_do_a_step_at_once_do_no_harm(killer, steps, name):
    step = steps[name]
    old, new, _ = killer.prepare(name, step)
    folder = killer.place / f"{name}-at-once"
    shutil.copytree(killer.place / f"{name}-old", folder)
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda act: killer.run(act, folder), (step.before[-1], step.act, step.act)))
    assert [code for code, _ in done] == [0, 0, 0], (folder / "log").read_text()
    assert faults.look(step, folder) in (old, new)
    assert not [path for path in folder.rglob("*") if path.name.startswith(".") or path.name == "bundle.partial"]


@dataclass(frozen=True)
class Full:
    """A step on a disk where no file can be longer than a thousand bytes."""

    act: object

    def __call__(self):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        self.act()


@pytest.mark.parametrize(("name", "file"), [("index", "table.csv"), ("train", "state.npz"), ("evaluate", "fold-0.csv")])
def test_what_finds_the_disk_full_says_so_and_leaves_the_old(killer, steps, name, file):
    step = steps[name]
    old, _, _ = killer.prepare(name, step)
    folder = killer.place / f"{name}-full"
    shutil.copytree(killer.place / f"{name}-old", folder)
    code, _ = killer.run(Full(step.act), folder)
    *_, said = lines = (folder / "log").read_text().splitlines()
    assert code == 2, lines
    assert len(lines) == 2, lines
    assert file in said
    assert (
        "cannot be written (File too large); what was there before is still there. Make room, or name another" in said
    )
    assert faults.look(step, folder) == old
    assert not list(folder.rglob(".*"))


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"only root can mount a disk: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(disk):
    with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def make_read_only(disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


@pytest.mark.parametrize(
    ("spoil", "why"), [(fill, "No space left on device"), (make_read_only, "Read-only file system")]
)
@pytest.mark.parametrize("name", ["index", "train", "download, an archive", "download, file by file"])
def test_a_disk_that_takes_nothing_is_named_and_keeps_the_old(killer, steps, disk, tmp_path, name, spoil, why):
    step = steps[name]
    old, new, _ = killer.prepare(name, step)
    folder = disk / "work"
    shutil.copytree(killer.place / f"{name}-old", folder, ignore=shutil.ignore_patterns("log"))
    (folder / "log").symlink_to(tmp_path / "log")
    spoil(disk)
    code, _ = killer.run(step.act, folder)
    said = (tmp_path / "log").read_text().splitlines()
    assert code in (2, 70)  # a command's line, a function's error
    assert f" cannot be written ({why}); what was there before is still there. Make room, or name another" in said[-1]
    assert code == 70 or len(said) == 2
    assert faults.look(step, folder) == old
    if spoil is fill:
        (disk / "filler").unlink()
        killer.complete(step.act, folder)
        assert faults.look(step, folder) == new


def extract_while_the_cache_is_removed():
    store = cache.store

    def remove_and_store(*what):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree("cache")
        store(*what)

    cache.store = remove_and_store
    faults.extract()


def test_a_cache_that_is_removed_underneath_does_no_harm(killer, steps):
    old, new, _ = killer.prepare("features", steps["features"])
    row = killer.strike("features", steps["features"], old, new, act=extract_while_the_cache_is_removed)
    assert not row["killed"]
    assert row["half"] == row["lost"] == 0
    assert 0 < row["new"] < len(new)
    assert row["completed"]


def test_a_training_that_is_interrupted_says_so_and_is_gone_on_with(killer, steps):
    killer.prepare("train", steps["train"])
    folder = killer.place / "interrupted"
    shutil.copytree(killer.place / "train-old", folder)
    words = ["train", "-p", "table.csv", "-o", "bundle", "--seed", "2"]
    heed = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # which a shell's background process does not
    code = f"import runpy, signal; {heed}; runpy.run_module('serlib', run_name='__main__')"
    with subprocess.Popen(
        [sys.executable, "-c", code, *words, "--epochs", "999999"],
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | killer.environment,
        text=True,
    ) as process:
        state = folder / "bundle.partial" / model.PARTIAL_FILE
        while not state.is_file() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130
    assert said.splitlines()[1:] == ["serlib: stopped; what was not finished has replaced nothing"]
    assert faults.look(steps["train"], folder) == killer.prepared["train"][0]
    with np.load(state) as kept:
        n_epochs = len(kept["rows"])
    go_on = functools.partial(faults.command, *words, "--resume", "--epochs", n_epochs + 1)
    killer.complete(go_on, folder)
    assert len(pd.read_csv(folder / "bundle" / "history.csv")) == n_epochs + 1
    assert not state.parent.exists()
