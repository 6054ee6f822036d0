"""Writers that are killed, disks that are full, caches that vanish: the old stays, or readers say what is wrong."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from serlib import bundle, cache, evaluate, features, figures, index, recipes, results, split, storage
from serlib.features import extraction

RECIPE = recipes.get("mfcc-mean+lda")


class Killed(BaseException):
    """What no writer catches."""


def write_table(emodb, seed):
    index.write(index.redraw(emodb, seed=seed), "table.csv")


def read_table():
    table = index.read("table.csv")
    if any("was edited after it was indexed" in problem for problem in table.attrs.get("problems", [])):
        raise ValueError("it was edited")
    return table.attrs["seed"]


def write_result(emodb, seed):
    rows = {"utterance": ["a", "b"], "corpus": "emodb", "recipe": "paper", "protocol": "loso", "seed": seed, "fold": 0}
    predictions = pd.DataFrame(rows | {"speaker": "s", "y_true": "fear", "y_pred": "fear", "p_anger": 0, "p_fear": 1})
    results.write(results.Result(predictions, predictions, predictions, {}), "result.csv.gz")


def read_result():
    result = results.read("result.csv.gz")
    assert set(result.predictions["seed"]) == set(result.validated["seed"]) == {result.about["seed"]}
    return result.about["seed"]


def write_picture(emodb, seed):
    figure, ax = plt.subplots()
    ax.plot([0, seed])
    figures.save(figure, "picture.png", about={"seed": seed})
    plt.close(figure)


def read_picture():
    about = storage.read_json(Path("picture.json"))
    if not storage.is_described("picture.png", about):
        raise ValueError("it is another picture")
    return about["seed"]


def write_bundle(emodb, seed):
    parts = split.from_parts(emodb)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(len(parts.table), 50)).astype(np.float32)
    fold = evaluate.fit_fold(parts, X, recipe=RECIPE, seed=seed)
    bundle.save("bundle", fold, parts, X=X, recipe=RECIPE)


def read_bundle():
    return bundle.read("bundle").seed


@contextlib.contextmanager
def killed_at(n, *, is_done):
    """Kill at the nth rename, before it or after it; nothing is tidied up then, as after a real kill."""
    renames = iter(range(1, 99))

    def dying(method):
        def rename(path, target):
            number = next(renames)
            if number == n and not is_done:
                raise Killed
            method(path, target)
            if number == n:
                raise Killed
            return Path(target)

        return rename

    with pytest.MonkeyPatch.context() as patch:
        for name in ("rename", "replace"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        yield


def found(read):
    """Return what a reader finds: the seed, or the error with which it says that something is wrong."""
    try:
        return read()
    except (ValueError, FileNotFoundError) as error:
        return type(error)


def states(write, read, emodb, workplace, n_renames):
    """Return what is found after a kill before and after each rename of the second writing."""
    after = []
    for n in range(1, n_renames + 1):
        for is_done in (False, True):
            for left in workplace.iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            write(emodb, 1)
            with killed_at(n, is_done=is_done), pytest.raises(Killed):
                write(emodb, 2)
            after.append(found(read))
            write(emodb, 2)
            assert found(read) == 2  # done again, it ends well
    return after


@pytest.mark.parametrize(
    ("write", "read", "n_renames"),
    [(write_table, read_table, 2), (write_picture, read_picture, 2), (write_result, read_result, 4)],
)
def test_a_kill_leaves_the_old_or_the_new_or_what_its_reader_refuses(write, read, n_renames, emodb, workplace):
    after = states(write, read, emodb, workplace, n_renames)
    assert after == [1] + [ValueError] * (2 * n_renames - 2) + [2]


def test_a_kill_leaves_the_old_bundle_or_the_new_but_for_the_moment_between_two_renames(emodb, workplace):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle.saving, "_write_contract", lambda folder, contract: write_plainly(folder, contract))
        after = states(write_bundle, read_bundle, emodb, workplace, 2)
    assert after == [1, FileNotFoundError, FileNotFoundError, 2]


def write_plainly(folder, contract):
    text = bundle.saving.json.dumps(bundle.saving.msgspec.to_builtins(contract))
    (folder / "bundle.json").write_text(text)


def test_a_writer_that_does_not_replace_at_once_is_found_out(emodb, workplace, monkeypatch):
    """The check above can fail: a writer that puts the sidecar first is caught."""

    def sidecar_first(contents, sidecar, about):
        with storage.replacing(sidecar) as new:
            new.write_text(storage.json.dumps(about))
        for file, content in contents.items():
            with storage.replacing(file) as new:
                new.write_bytes(content)

    monkeypatch.setattr(storage, "write_described", sidecar_first)
    assert states(write_table, read_table, emodb, workplace, 2)[1] == 2  # the old table, taken for the new


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"only root can mount a disk: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(disk):
    with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def make_read_only(disk):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)


@pytest.mark.parametrize(
    ("spoil", "why"), [(fill, "No space left on device"), (make_read_only, "Read-only file system")]
)
@pytest.mark.parametrize("write", ["table", "bundle"])
def test_a_disk_that_takes_nothing_is_named_and_keeps_the_old(emodb, disk, monkeypatch, write, spoil, why):
    monkeypatch.chdir(disk)
    act, read = {"table": (write_table, read_table), "bundle": (write_bundle, read_bundle)}[write]
    act(emodb, 1)
    spoil(disk)
    with pytest.raises(OSError, match=rf"cannot be written \({why}\); what was there before is still there"):
        act(emodb, 2)
    assert read() == 1
    if spoil is fill:
        (disk / "filler").unlink()
        act(emodb, 2)
        assert read() == 2
        assert not list(disk.glob(".*"))


def test_a_cache_that_is_removed_underneath_does_no_harm(made, workplace, monkeypatch):
    table = index.scan(made["emovo"], "emovo")
    expected = features.extract(table, features=RECIPE.features)
    store = cache.store

    def remove_and_store(*what):
        shutil.rmtree("build/tiny/cache", ignore_errors=True)
        store(*what)

    cache.clear()
    monkeypatch.setattr(extraction, "CHUNK", 8)
    monkeypatch.setattr(cache, "store", remove_and_store)
    np.testing.assert_array_equal(features.extract(table, features=RECIPE.features, n_jobs=1), expected)


@pytest.mark.slow
def test_a_training_that_is_interrupted_says_so_and_leaves_the_old_bundle(emodb, workplace):
    write_bundle(emodb, 1)
    index.write(emodb, "table.csv")
    heed = "signal.signal(signal.SIGINT, signal.default_int_handler)"  # which a shell's background process does not
    code = f"import runpy, signal; {heed}; runpy.run_module('serlib', run_name='__main__')"
    words = ["train", "-p", "table.csv", "-o", "bundle", "--seed", "2", "--epochs", "999999"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stderr=subprocess.PIPE,
        env=os.environ | {"SERLIB_PROFILE": "tiny"},
        text=True,
    )
    with process:
        assert process.stderr.readline().startswith("serlib: profile tiny")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(8)
        process.send_signal(signal.SIGINT)
        _, line = process.communicate()
    assert process.returncode == 130
    assert line.strip() == "serlib: stopped; what was not finished has replaced nothing"
    assert read_bundle() == 1
    assert sorted(path.name for path in workplace.glob("*")) == ["build", "bundle", "table.csv", "table.json"]
