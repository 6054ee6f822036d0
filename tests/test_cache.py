import contextlib
import hashlib
import os
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from serlib import cache, features, recipes, settings


@pytest.fixture
def folder(workplace):
    """Two files that have not changed for a while."""
    folder = workplace / "corpus"
    (folder / "wav").mkdir(parents=True)
    for name in ("a", "b"):
        (folder / "wav" / f"{name}.wav").write_bytes(name.encode() * 1000)
        os.utime(folder / "wav" / f"{name}.wav", ns=(10**18, 10**18))
    return folder


PATHS = ["wav/a.wav", "wav/b.wav"]


def sha(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def unreadable(monkeypatch):
    monkeypatch.setattr(cache, "content_hash", lambda path: pytest.fail(f"read {path}"))


def test_a_content_is_named_by_its_sha256(folder):
    assert cache.contents(folder, PATHS) == [sha(folder / path) for path in PATHS]
    assert cache.content_hash(folder / "wav/a.wav") == hashlib.sha256(b"a" * 1000).hexdigest()


def test_files_that_did_not_change_are_not_read_again(folder, monkeypatch):
    first = cache.contents(folder, PATHS)
    unreadable(monkeypatch)
    assert cache.contents(folder, PATHS[::-1]) == first[::-1]


def test_verify_reads_all_files(folder):
    first = cache.contents(folder, PATHS)
    (folder / "wav/a.wav").write_bytes(b"c" * 1000)  # as long as before ...
    os.utime(folder / "wav/a.wav", ns=(10**18, 10**18))  # ... and seemingly as old
    assert cache.contents(folder, PATHS) == first
    assert cache.contents(folder, PATHS, verify=True) == [sha(folder / path) for path in PATHS] != first
    assert cache.contents(folder, PATHS) == [sha(folder / path) for path in PATHS]


@pytest.mark.parametrize(("content", "ns"), [(b"c" * 999, 10**18), (b"c" * 1000, 10**18 + 1)])
def test_another_size_or_time_is_noticed(folder, content, ns):
    cache.contents(folder, PATHS)
    (folder / "wav/a.wav").write_bytes(content)
    os.utime(folder / "wav/a.wav", ns=(ns, ns))
    assert cache.contents(folder, PATHS)[0] == sha(folder / "wav/a.wav")


def test_a_file_that_changed_just_now_is_not_remembered(folder):
    (folder / "wav/a.wav").write_bytes(b"c" * 1000)
    os.utime(folder / "wav/a.wav", ns=(now := time.time_ns(), now))
    cache.contents(folder, PATHS)
    (folder / "wav/a.wav").write_bytes(b"d" * 1000)
    os.utime(folder / "wav/a.wav", ns=(now, now))  # within the same tick
    assert cache.contents(folder, PATHS)[0] == sha(folder / "wav/a.wav")


def test_what_is_gone_has_no_content(folder):
    cache.contents(folder, PATHS)
    (folder / "wav/a.wav").unlink()
    assert cache.contents(folder, PATHS)[0] == ""


def test_vectors_come_back_by_content_and_maker(workplace):
    fresh = {f"{number:064x}": np.arange(number, number + 50, dtype=np.float32) for number in range(1200)}
    cache.store("mfcc", fresh)
    found = cache.vectors("mfcc", [*fresh, "f" * 64], 50)
    assert found.keys() == fresh.keys()
    for content, vector in fresh.items():
        np.testing.assert_array_equal(found[content], vector)
    assert cache.vectors("other settings", fresh, 50) == {}


def test_the_cache_is_summed_up_and_cleared(folder):
    cache.contents(folder, PATHS)
    cache.store("mfcc", {"0" * 64: np.zeros(50, np.float32)})
    said = cache.summary()
    assert (said["n_contents"], said["n_vectors"]) == (2, 1)
    assert said["bytes"] == os.path.getsize(said["file"])
    cache.clear()
    assert (cache.summary()["n_contents"], cache.summary()["n_vectors"]) == (0, 0)


def test_a_damaged_cache_is_made_anew(folder):
    cache.store("mfcc", {f"{number:064x}": np.zeros(50, np.float32) for number in range(1000)})
    file = cache.summary()["file"]
    content = open_and_spoil(file)
    with open(file, "wb") as opened:
        opened.write(content)
    assert cache.contents(folder, PATHS) == [sha(folder / path) for path in PATHS]
    cache.store("mfcc", {"1" * 64: np.ones(50, np.float32)})
    assert list(cache.vectors("mfcc", ["1" * 64], 50)) == ["1" * 64]


@pytest.mark.parametrize(
    "other", ["no database", "create table notes (a)", "create table contents (a integer)", "create table damaged (a)"]
)
def test_what_is_no_cache_of_ours_is_named_and_stays(workplace, other):
    file = settings.current().cache / "cache.sqlite"
    file.parent.mkdir(parents=True)
    if other == "no database":
        file.write_text(other)
    else:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute(other)
    if "damaged" in other:
        content = file.read_bytes()
        file.write_bytes(content[:100] + b"\xff" * 8 + content[108:])
    before = file.read_bytes()
    for act in (cache.summary, cache.clear, lambda: cache.store("mfcc", {"1" * 64: np.ones(50, np.float32)})):
        with pytest.raises(ValueError, match=r"cache.sqlite is no cache of serlib's \(.*\); move it away"):
            act()
    assert file.read_bytes() == before


@pytest.mark.parametrize("vector", ["text", None, 3, b"7 bytes", np.ones(49, np.float32).tobytes()])
def test_a_stored_vector_that_is_none_is_computed_again(workplace, vector):
    cache.store("mfcc", {"1" * 64: np.ones(50, np.float32), "2" * 64: np.ones(50, np.float32)})
    with contextlib.closing(sqlite3.connect(cache.summary()["file"])) as connection, connection:
        connection.execute("update vectors set vector = ? where content = ?", (vector, "1" * 64))
    assert list(cache.vectors("mfcc", ["1" * 64, "2" * 64], 50)) == ["2" * 64]


def test_stored_numbers_that_are_not_finite_are_refused(emodb, workplace):
    table = emodb[:3]
    features.extract(table, features=recipes.get("paper").features)
    with contextlib.closing(sqlite3.connect(cache.summary()["file"])) as connection, connection:
        connection.execute("update vectors set vector = ?", (np.full(50, np.nan, np.float32).tobytes(),))
    with pytest.raises(ValueError, match="numbers that are not finite, which none of ours has; clear it with"):
        features.extract(table, features=recipes.get("paper").features)


def open_and_spoil(file):
    with open(file, "rb") as opened:
        content = opened.read()
    return content[:4096] + b"\xff" * (len(content) - 4096)


def test_a_cache_that_cannot_be_made_is_named(workplace, monkeypatch):
    def refuse(*_, **__):
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr(cache.sqlite3, "connect", refuse)
    with pytest.raises(
        OSError,
        match=r"cannot be used \(disk full\); wait for what else uses it, free space, or point SERLIB_CACHE elsewhere",
    ):
        cache.summary()


def test_processes_use_it_at_once(workplace):
    code = "import sys, numpy as np; from serlib import cache\n"
    code += "for k in range(50): cache.store(sys.argv[1], {f'{k:064x}': np.full(50, k, np.float32)})"
    running = [subprocess.Popen([sys.executable, "-c", code, name], cwd=workplace) for name in ("a", "b", "c", "a")]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    for name in ("a", "b", "c"):
        found = cache.vectors(name, [f"{k:064x}" for k in range(50)], 50)
        assert [int(vector[0]) for vector in found.values()] == list(range(50))
