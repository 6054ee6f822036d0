import errno
import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

from serlib import storage


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["file", "folder"])
def kind(request):
    """Functions that write and read something, {file or folder: text}, so that both are tested alike."""

    def write(path, text):
        if request.param == "folder":
            path.mkdir()
            path /= "inner.txt"
        path.write_text(text)

    def read(path):
        return (path / "inner.txt" if request.param == "folder" else path).read_text()

    return write, read


def test_what_is_there_is_replaced_whole(tmp_path, kind):
    write, read = kind
    for text in ("old", "new"):
        with storage.replacing(tmp_path / "new folder" / "a.b") as new:
            assert new.name == "a.b"
            write(new, text)
        assert read(tmp_path / "new folder" / "a.b") == text
    assert names(tmp_path / "new folder") == ["a.b"]


def test_a_writer_that_fails_leaves_the_old_one(tmp_path, kind):
    write, read = kind
    write(tmp_path / "a", "old")

    def fail():
        with storage.replacing(tmp_path / "a") as new:
            write(new, "half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert read(tmp_path / "a") == "old"
    assert names(tmp_path) == ["a"]


def test_a_writer_that_is_killed_leaves_the_old_one_and_the_next_one_writes(tmp_path, kind):
    write, read = kind
    write(tmp_path / "a", "old")
    code = "import os, sys, signal; from pathlib import Path; from serlib import storage\n"
    code += "with storage.replacing(sys.argv[1]) as new:\n"
    code += "    new.mkdir(); (new / 'inner.txt').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert read(tmp_path / "a") == "old"
    assert all(name == "a" or name.startswith(".a.") for name in names(tmp_path))
    with storage.replacing(tmp_path / "a") as new:
        write(new, "new")
    assert read(tmp_path / "a") == "new"


def test_who_has_the_old_file_open_goes_on_reading_it(tmp_path):
    (tmp_path / "a").write_text("old")
    with (tmp_path / "a").open() as reader:
        with storage.replacing(tmp_path / "a") as new:
            new.write_text("new")
        assert reader.read() == "old"


def test_of_two_writers_the_last_to_finish_is_kept(tmp_path, kind):
    write, read = kind
    with storage.replacing(tmp_path / "a") as first:
        write(first, "first")
        with storage.replacing(tmp_path / "a") as second:
            write(second, "second")
        assert read(tmp_path / "a") == "second"
    assert read(tmp_path / "a") == "first"
    assert names(tmp_path) == ["a"]


def test_a_file_does_not_replace_a_folder_nor_a_folder_a_file(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").touch()
    (tmp_path / "file").write_text("kept")

    def put(path, write):
        with storage.replacing(path) as new:
            write(new)

    with pytest.raises(OSError, match="folder cannot be written"):
        put(tmp_path / "folder", lambda new: new.write_text("new"))
    with pytest.raises(OSError, match="file cannot be written"):
        put(tmp_path / "file", lambda new: new.mkdir())
    assert names(tmp_path / "folder") == ["kept"]
    assert (tmp_path / "file").read_text() == "kept"
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("what", ["ENOSPC", "EROFS", "EACCES"])
def test_a_write_error_names_the_users_path_and_the_old_one_stays(tmp_path, monkeypatch, what):
    file = tmp_path / "table.csv"
    file.write_text("old")
    refused = OSError(getattr(errno, what), os.strerror(getattr(errno, what)), ".table.csv.x/table.csv")

    def refuse(*_, **__):
        raise refused

    def write():
        with storage.replacing(file) as new:
            new.write_text("half")
            refuse()

    message = rf"^{file} cannot be written \({refused.strerror}\); what was there before is still there. Make room, or"
    with pytest.raises(type(refused), match=message):
        write()
    monkeypatch.setattr(storage.tempfile, "mkdtemp", refuse)
    with pytest.raises(type(refused), match=message):
        write()
    assert file.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_a_folder_that_cannot_be_replaced_is_put_back(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "kept").touch()

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write():
        with storage.replacing(tmp_path / "a") as new:
            new.mkdir()

    monkeypatch.setattr(storage.Path, "replace", refuse)
    with pytest.raises(OSError, match="a cannot be written .*; what was there before is still there"):
        write()
    assert names(tmp_path / "a") == ["kept"]
    assert names(tmp_path) == ["a"]


def test_errors_that_are_not_about_writing_stay_what_they_are(tmp_path):
    def fail():
        with storage.replacing(tmp_path / "a"):
            raise FileNotFoundError(errno.ENOENT, "no such file", "elsewhere")

    with pytest.raises(FileNotFoundError, match="elsewhere"):
        fail()


def test_a_place_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/a.csv cannot be written \(its folder is a file\)"):
        storage.refuse_unwritable(tmp_path / "file" / "a.csv")


# Files with a sidecar


def test_the_sidecar_is_written_last_and_holds_checksums(tmp_path, monkeypatch):
    written, replacing = [], storage.replacing
    monkeypatch.setattr(storage, "replacing", lambda path: written.append(path) or replacing(path))
    files = {tmp_path / "a.csv": b"one", tmp_path / "a.history.csv": b"two"}
    storage.write_described(files, tmp_path / "a.json", {"corpus": "emodb", "seed": 42})
    assert written == [*files, tmp_path / "a.json"]
    about = json.loads((tmp_path / "a.json").read_text())
    assert about == {
        "corpus": "emodb",
        "seed": 42,
        "sha256": {path.name: hashlib.sha256(content).hexdigest() for path, content in files.items()},
    }
    assert all(path.read_bytes() == content for path, content in files.items())


def test_a_file_that_its_sidecar_does_not_describe_is_noticed(tmp_path):
    file = tmp_path / "a.csv"
    storage.write_described({file: b"one"}, tmp_path / "a.json", {"corpus": "emodb"})
    about = json.loads((tmp_path / "a.json").read_text())
    assert storage.is_described(file, about)
    file.write_bytes(b"two")
    assert not storage.is_described(file, about)
    assert storage.is_described(file, {"corpus": "emodb"})  # written before there were checksums, or by hand


def test_a_writer_killed_between_file_and_sidecar_is_noticed(tmp_path, monkeypatch):
    file, sidecar = tmp_path / "a.csv", tmp_path / "a.json"
    storage.write_described({file: b"one"}, sidecar, {"corpus": "emodb"})
    replacing = storage.replacing

    def killed_at_the_sidecar(path):
        if path == sidecar:
            raise KeyboardInterrupt
        return replacing(path)

    monkeypatch.setattr(storage, "replacing", killed_at_the_sidecar)
    with pytest.raises(KeyboardInterrupt):
        storage.write_described({file: b"two"}, sidecar, {"corpus": "emodb"})
    assert not storage.is_described(file, json.loads(sidecar.read_text()))


@pytest.mark.parametrize("text", ['{"name": "a package"}', "[]", "no JSON"])
def test_a_json_file_that_is_not_ours_is_never_replaced(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match="a.json is not serlib's, and would be replaced; nothing was written. Name"):
        storage.write_described({tmp_path / "a.csv": b"one"}, tmp_path / "a.json", {"corpus": "emodb"})
    assert (tmp_path / "a.json").read_text() == text
    assert names(tmp_path) == ["a.json"]


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_a_folder_where_a_file_goes_is_named_before_anything_is_written(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(IsADirectoryError, match=f"{name} is a folder; expected a file, or nothing. Name another"):
        storage.write_described({tmp_path / "a.csv": b"one"}, tmp_path / "a.json", {"corpus": "emodb"})
    assert names(tmp_path) == [name]


# Reading within bounds


def test_text_is_read_with_or_without_compression_and_byte_order_mark(tmp_path):
    import gzip

    (tmp_path / "a.txt").write_text("größer\r\n", encoding="utf-8-sig", newline="")
    (tmp_path / "a.gz").write_bytes(gzip.compress("größer\n".encode()))
    assert storage.read_text(tmp_path / "a.txt") == storage.read_text(tmp_path / "a.gz") == "größer\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "größer".encode("latin-1"), r"a.txt is not text in UTF-8 \(.*\); save it as UTF-8"),
        ("a.gz", b"no gzip", r"a.gz is not text in UTF-8 \(.*\); save it as UTF-8"),
        ("a.txt", b"a\0b", "a.txt is not text .it holds characters of value zero.; save it as UTF-8"),
        ("a.txt", b"a" * 11, "a.txt has more than 10 characters, too many for a table; name another file"),
        ("a.txt", b",,,,", "a.txt has 4 values or so; expected at most 3. Name another file"),
    ],
)
def test_what_is_no_text_or_too_large_is_refused(tmp_path, monkeypatch, name, content, message):
    monkeypatch.setattr(storage, "MAX_CHARACTERS", 10)
    monkeypatch.setattr(storage, "MAX_VALUES", 3)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        storage.read_text(tmp_path / name)


def test_what_is_no_json_is_refused(tmp_path):
    for text in ("{", "[" * 100_000):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ValueError, match=r"a.json is not JSON \(.*\); make it again"):
            storage.read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n", "a.csv, line 1: the column 'emotion' is missing; expected path,emotion; correct it"),
        ("\n\npath,emotion,path\n", "a.csv, line 3: the column 'path' is there twice; expected each name once"),
        ("path,emotion\n1,2\n1,2,3\n", "a.csv, line 3: expected 2 values, as in the first; correct it"),
        ("a,b,c,d\n", "a.csv has 1 lines of 4 columns; expected at most 3 columns"),
    ],
)
def test_a_table_that_is_none_is_refused_with_its_line(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(storage, "MAX_COLUMNS", 3)
    wanted = () if text.startswith("a,b") else ("path", "emotion")
    with pytest.raises(ValueError, match=message):
        storage.column_names(tmp_path / "a.csv", text, wanted=wanted)


def test_columns_are_those_of_the_first_line_that_is_not_empty(tmp_path):
    assert storage.column_names(tmp_path / "a.csv", "\n\nb;a\n1;2\n", separator=";") == ["b", "a"]


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\u202e", "\n", "\ud800"])
def test_no_terminal_obeys_what_is_printed(character):
    printed = storage.printable(f"a{character}b")
    assert printed.isprintable()
    assert json.loads(f'"{printed}"') == f"a{character}b"
    assert storage.printable("größer 北京.wav") == "größer 北京.wav"
