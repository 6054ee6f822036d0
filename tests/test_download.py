"""Downloads from a real HTTP server on this machine, which breaks off, hangs and lies as told; and hostile archives."""

import errno
import hashlib
import io
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import sys
import threading
import zipfile
import zlib
from dataclasses import dataclass, fields
from http.client import responses as REASONS
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest

from serlib import audio, corpora, doctor, download

UTTERANCES = ("03a01Fa", "03a01Nc", "08a02Wc", "10b01Aa", "13b09La", "16b10Td")  # as EMODB has them


def recording(name):
    """Return a wav file of a second and a quarter whose noise is the name's own: 40,044 bytes that do not compress."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return audio.wav_bytes(rng.uniform(-0.1, 0.1, 20000).astype(np.float32), 16000)


WAVS = {f"wav/{name}.wav": recording(name) for name in UTTERANCES}


@dataclass(frozen=True)
class Small(corpora.Passport):
    """A corpus that has published `WAVS` and nothing else."""

    def manifest(self):
        rows = [(path, len(content), hashlib.sha256(content).hexdigest()) for path, content in WAVS.items()]
        return pd.DataFrame(rows, columns=["path", "bytes", "sha256"])


def small(**where):
    """Return the passport of a small EMODB that is to be had at `where`."""
    emodb = corpora.get("emodb")
    changed = {"download": where, "n_utterances": len(WAVS)}
    return Small(**{field.name: getattr(emodb, field.name) for field in fields(emodb)} | changed)


def zipped(members, compression=zipfile.ZIP_DEFLATED):
    """Return a zip archive of {name or ZipInfo: content}."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


GOOD = zipped(WAVS)


class Publisher(ThreadingHTTPServer):
    """Serves `shelf`, {path: content, or a status to refuse with}; writes down what was asked for and how much it sent.

    It breaks off before byte `breaks_at` of a content; it says no more after byte `hangs_at`, but for `end`. Where it
    `says` a header, it answers nothing else.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.shelf, self.asked, self.sent, self.encodings = {}, [], [], set()
        self.knows_ranges, self.says_length, self.breaks_at, self.hangs_at = True, True, None, None
        self.says, self.end = None, threading.Event()

    def paths(self):
        """Return the paths that were asked for, sorted, and forget them."""
        paths = sorted(path for path, _ in self.asked)
        self.asked.clear()
        return paths


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        here, wanted = self.server, self.headers["Range"]
        here.asked.append((self.path, wanted))
        here.encodings.add(self.headers["Accept-Encoding"])
        if here.hangs_at == 0:
            here.end.wait(10)
            return
        content, start = here.shelf.get(self.path, 404), 0
        if isinstance(content, int):
            self.send_error(content)
            return
        if wanted and here.knows_ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        if wanted and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        if here.says:
            self.send_response(200)
            self.send_header(*here.says)
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if here.says_length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        stops = [at for at in (here.breaks_at, here.hangs_at) if at]
        body = content[start : min([len(content), *stops])]
        here.sent.append(len(body))
        self.wfile.write(body)
        if here.hangs_at:
            self.wfile.flush()
            here.end.wait(10)

    def log_message(self, *_):
        pass


@pytest.fixture
def publisher(monkeypatch):
    """A server that runs in a thread of its own."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Publisher() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.end.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def emodb(publisher):
    """A small EMODB, published as one archive."""
    publisher.shelf["/emodb.zip"] = GOOD
    return small(url=f"{publisher.url}/emodb.zip", md5=hashlib.md5(GOOD).hexdigest())


@pytest.fixture
def loose(publisher):
    """A small EMODB, published file by file."""
    publisher.shelf |= {f"/raw/{path}": content for path, content in WAVS.items()}
    return small(files=f"{publisher.url}/raw/")


@pytest.fixture
def data(tmp_path):
    """The folder where corpora lie, empty; it has a parent of its own, into which something may escape."""
    folder = tmp_path / "outside" / "data"
    folder.mkdir(parents=True)
    return folder


def tree(folder):
    """Return {path: content} of everything below a folder; a folder's content is None."""
    return {
        file.relative_to(folder).as_posix(): None if file.is_dir() else file.read_bytes()
        for file in sorted(folder.rglob("*"))
    }


PLACED = {"EMODB": None, "EMODB/wav": None} | {f"EMODB/{path}": content for path, content in WAVS.items()}
PARTIAL = ".emodb.zip.part"


def refusal(error, passport, data, **options):
    """Return the message, of one line, with which a download fails."""
    with pytest.raises(error) as raised:
        download.fetch(passport, data, **options)
    message = str(raised.value)
    assert "\n" not in message
    assert raised.type is error
    return message


def archive_of(publisher, content):
    """Let the publisher offer another archive, of which no checksum is known."""
    publisher.shelf["/emodb.zip"] = content
    return small(url=f"{publisher.url}/emodb.zip")


# One archive


def test_an_archive_is_placed_whole_and_compared(publisher, emodb, data, capsys):
    report = download.fetch(emodb, data)
    assert isinstance(report, doctor.Report)
    assert (report.ok, report.n_found, report.n_expected, report.is_quick) == (True, 6, 6, False)
    assert report.folder == str(data / "EMODB")
    assert tree(data) == PLACED
    assert publisher.asked == [("/emodb.zip", None)]
    assert capsys.readouterr() == ("", "")


def test_the_folder_of_corpora_is_made_where_there_is_none(emodb, data):
    assert download.fetch(emodb, data / "a" / "b").ok
    assert tree(data / "a" / "b") == PLACED


def test_an_archive_without_a_published_checksum_is_compared_file_by_file(publisher, data):
    other = recording("another")
    report = download.fetch(archive_of(publisher, zipped(WAVS | {"wav/03a01Fa.wav": other})), data)
    assert not report.ok
    assert [(finding.kind, finding.path) for finding in report.findings] == [("altered", "wav/03a01Fa.wav")]


def test_progress_is_shown_on_stderr_only(emodb, loose, data, capsys):
    download.fetch(emodb, data, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "emodb.zip: 100%" in err
    assert "unpack: 100%" in err
    download.fetch(loose, data / "loose", progress=True)
    assert "emodb: 100%" in capsys.readouterr().err


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(publisher, emodb, data):
    publisher.breaks_at = 150_000
    message = refusal(ConnectionError, emodb, data)
    (kept,) = tree(data).values()
    assert list(tree(data)) == [PARTIAL]
    assert kept == GOOD[: len(kept)]
    assert 150_000 - 65_536 < len(kept) <= 150_000
    assert message == (
        f"{publisher.url}/emodb.zip: the transfer broke off; {len(kept):,} bytes are kept; try again to go on from"
        " there"
    )
    publisher.breaks_at = None
    assert download.fetch(emodb, data).ok
    assert publisher.asked == [("/emodb.zip", None), ("/emodb.zip", f"bytes={len(kept)}-")]
    assert publisher.sent == [150_000, len(GOOD) - len(kept)]
    assert tree(data) == PLACED


def test_a_transfer_that_breaks_off_twice_keeps_what_came_with_both(publisher, emodb, data):
    for publisher.breaks_at in (100_000, 200_000):
        refusal(ConnectionError, emodb, data)
    kept = tree(data)[PARTIAL]
    assert kept == GOOD[: len(kept)]
    assert len(kept) > 200_000 - 65_536
    publisher.breaks_at = None
    assert download.fetch(emodb, data).ok


def test_a_transfer_is_begun_again_where_the_server_knows_no_ranges(publisher, emodb, data):
    publisher.knows_ranges = False
    (data / PARTIAL).write_bytes(GOOD[:1000])
    assert download.fetch(emodb, data).ok
    assert publisher.asked == [("/emodb.zip", "bytes=1000-")]
    assert publisher.sent == [len(GOOD)]
    assert tree(data) == PLACED


def test_a_partial_file_that_is_whole_is_not_fetched_again(publisher, emodb, data):
    (data / PARTIAL).write_bytes(GOOD)
    assert download.fetch(emodb, data).ok
    assert publisher.asked == [("/emodb.zip", f"bytes={len(GOOD)}-")]
    assert publisher.sent == []
    assert tree(data) == PLACED


def test_a_partial_file_longer_than_the_archive_is_thrown_away(publisher, emodb, data):
    (data / PARTIAL).write_bytes(GOOD + b"more")
    assert download.fetch(emodb, data).ok
    assert publisher.asked == [("/emodb.zip", f"bytes={len(GOOD) + 4}-"), ("/emodb.zip", None)]
    assert tree(data) == PLACED


def test_an_archive_whose_unpacking_is_interrupted_is_not_fetched_again(publisher, emodb, data, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(download, "unpack", stop)
        with pytest.raises(KeyboardInterrupt):
            download.fetch(emodb, data)
    assert tree(data) == {PARTIAL: GOOD}
    assert download.fetch(emodb, data).ok
    assert publisher.sent == [len(GOOD)]
    assert tree(data) == PLACED


def test_an_archive_is_kept_where_there_is_no_room_to_unpack_it(publisher, emodb, data, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", fail)
        message = refusal(OSError, emodb, data)
    assert f"{data / 'EMODB'} cannot be written (No space left on device); what was there before is still" in message
    assert tree(data) == {PARTIAL: GOOD}
    assert download.fetch(emodb, data).ok
    assert publisher.sent == [len(GOOD)]


def test_an_archive_is_asked_for_as_it_is_so_that_ranges_count_its_bytes(publisher, emodb, data):
    download.fetch(emodb, data)
    assert publisher.encodings == {"identity"}


def test_an_archive_of_unsaid_length_is_fetched(publisher, emodb, data):
    publisher.says_length = False
    assert download.fetch(emodb, data).ok


def test_a_partial_file_of_another_archive_is_found_out_and_deleted(publisher, emodb, data):
    (data / PARTIAL).write_bytes(b"x" * 1000)
    message = refusal(ValueError, emodb, data)
    assert "emodb.zip is another than was published; expected the MD5 " in message
    assert tree(data) == {}
    assert download.fetch(emodb, data).ok


def test_an_archive_with_another_checksum_is_deleted(publisher, emodb, data):
    publisher.shelf["/emodb.zip"] = zipped(WAVS | {"wav/readme.txt": b"hello"})
    expected = hashlib.md5(GOOD).hexdigest()
    assert refusal(ValueError, emodb, data) == (
        f"emodb: the archive from {publisher.url}/emodb.zip is another than was published; expected the MD5 {expected}."
        " It was deleted; try again, then report it"
    )
    assert tree(data) == {}


def test_of_an_endless_transfer_no_more_is_taken_than_a_corpus_has(publisher, emodb, data, monkeypatch):
    sizes, move = [], shutil.move

    def measured(source, target):
        sizes.append(source.stat().st_size)
        return move(source, target)

    monkeypatch.setattr(download, "BLOCK", 1000)
    monkeypatch.setattr(shutil, "move", measured)
    publisher.says_length = False
    publisher.shelf["/emodb.zip"] = GOOD + bytes(400_000)
    assert "emodb.zip is another than was published" in refusal(ValueError, emodb, data)
    most = 2 * sum(map(len, WAVS.values()))
    assert most < sizes[0] <= most + 1000
    assert tree(data) == {}


def test_of_an_endless_file_no_more_is_taken_than_was_published(publisher, loose, data, monkeypatch):
    sizes, get = {}, download._get

    def measured(url, output, *how):
        get(url, output, *how)
        sizes[url.rsplit("/", 1)[1]] = os.path.getsize(output)

    monkeypatch.setattr(download, "BLOCK", 1000)
    monkeypatch.setattr(download, "_get", measured)
    publisher.says_length = False
    publisher.shelf["/raw/wav/03a01Fa.wav"] += bytes(400_000)
    message = refusal(ConnectionError, loose, data)
    assert "1 of 6 files did not arrive" in message
    assert "/raw/wav/03a01Fa.wav: the server sent something else than was published" in message
    assert 40_044 < sizes.pop("03a01Fa.wav") <= 41_044
    assert set(sizes.values()) == {40_044}


@pytest.mark.parametrize("status", [404, 416, 503])
def test_an_archive_that_the_server_refuses_is_said_to_be_so(publisher, emodb, data, status):
    publisher.shelf["/emodb.zip"] = status
    message = refusal(ConnectionError, emodb, data)
    assert message == f"{publisher.url}/emodb.zip: the server answered {status} {REASONS[status]}; try again later"
    assert tree(data) == {}


def test_a_server_that_says_nothing_is_given_up(publisher, emodb, data):
    publisher.hangs_at = 0
    message = refusal(ConnectionError, emodb, data, timeout_s=0.2)
    assert message == f"{publisher.url}/emodb.zip: the server was silent for 0.2 s; try again later"
    assert tree(data) == {}


def test_of_a_transfer_that_falls_silent_what_came_is_kept(publisher, emodb, data):
    publisher.hangs_at = 150_000
    message = refusal(ConnectionError, emodb, data, timeout_s=0.5)
    n_kept = len(tree(data)[PARTIAL])
    assert n_kept > 150_000 - 65_536
    assert f"the server was silent for 0.5 s; {n_kept:,} bytes are kept; try again to go on from there" in message
    publisher.hangs_at = None
    assert download.fetch(emodb, data).ok
    assert publisher.asked[1] == ("/emodb.zip", f"bytes={n_kept}-")


@pytest.mark.parametrize("is_known", [True, False])
def test_an_answer_that_makes_no_sense_is_said_to_be_so(publisher, emodb, data, is_known):
    publisher.says = ("Content-Length", "abc")
    passport = emodb if is_known else small(url=f"{publisher.url}/emodb.zip")
    message = refusal(ConnectionError, passport, data)
    assert (
        "emodb.zip: the server's answer cannot be used (invalid literal for int() with base 10: 'abc'); try" in message
    )
    publisher.says = None
    assert download.fetch(passport, data).ok


def test_a_server_that_is_not_there_is_said_to_be_so(data, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/emodb.zip"
    (data / PARTIAL).write_bytes(GOOD[:1000])
    message = refusal(ConnectionError, small(url=url), data)
    assert message == f"{url}: the server cannot be reached; 1,000 bytes are kept; try again to go on from there"
    assert tree(data) == {PARTIAL: GOOD[:1000]}


# What may be there already


def test_a_corpus_that_is_there_is_only_compared(publisher, emodb, data):
    download.fetch(emodb, data)
    publisher.asked.clear()
    (data / "EMODB").rename(data / "berlin")
    (data / "berlin" / "wav" / "03a01Fa.wav").unlink()
    report = download.fetch(emodb, data)
    assert publisher.asked == []
    assert [(finding.kind, finding.path) for finding in report.findings] == [("missing", "wav/03a01Fa.wav")]
    assert report.folder == str(data / "berlin")


def test_a_folder_of_something_else_is_not_touched(publisher, emodb, data):
    (data / "EMODB").mkdir()
    (data / "EMODB" / "thesis.txt").write_text("years of work")
    before = tree(data)
    message = refusal(FileExistsError, emodb, data)
    assert message == (
        f"{data / 'EMODB'} holds nothing of emodb; expected the corpus, or nothing. Move it away, then try again"
    )
    assert publisher.asked == []
    assert tree(data) == before


@pytest.mark.parametrize("kind", ["emodb", "loose"])
def test_a_file_in_the_folders_place_is_not_touched(publisher, kind, data, request):
    (data / "EMODB").write_text("years of work")
    message = refusal(FileExistsError, request.getfixturevalue(kind), data)
    assert message == f"{data / 'EMODB'} is a file; expected a folder, or nothing. Move it away, then try again"
    assert publisher.asked == []
    assert tree(data) == {"EMODB": b"years of work"}


def test_an_empty_folder_is_filled(emodb, data):
    (data / "EMODB").mkdir()
    assert download.fetch(emodb, data).ok
    assert tree(data) == PLACED


# Archives that would do harm, or no good


def link(name, target):
    """Return a symbolic link as `zip --symlinks` writes it: its mode in the upper half of the attributes."""
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return {member: target}


HARMFUL = [
    ({"../x.wav": b"x"}, "would write to '../x.wav'; expected paths inside its folder"),
    ({"../../../x.wav": b"x"}, "would write to '../../../x.wav'; expected paths inside its folder"),
    ({"wav/../../../../x.wav": b"x"}, "would write to 'wav/../../../../x.wav'; expected paths inside"),
    ({"..": b"x"}, "would write to '..'; expected paths inside"),
    ({r"..\..\..\x.wav": b"x"}, r"would write to '..\\..\\..\\x.wav'; expected paths inside"),
    ({r"\x.wav": b"x"}, r"would write to '\\x.wav'; expected paths inside"),
    ({r"C:\x.wav": b"x"}, r"would write to 'C:\\x.wav'; expected paths inside"),
    ({"C:x.wav": b"x"}, "would write to 'C:x.wav'; expected paths inside"),
    ({r"\\server\share\x.wav": b"x"}, r"would write to '\\\\server\\share\\x.wav'; expected paths inside"),
    (link("wav/link.wav", "/etc/passwd"), "holds a link, 'wav/link.wav'; expected files only"),
    (link("out", "../.."), "holds a link, 'out'; expected files only"),
    ({"SYNTHETIC.json": b"{}"}, "holds 'SYNTHETIC.json', which only you and serlib write; expected recordings"),
    ({"passport.toml": b"id = 1"}, "holds 'passport.toml', which only you and serlib write; expected recordings"),
    ({"utterances.csv": b"path"}, "holds 'utterances.csv', which only you and serlib write; expected recordings"),
]


@pytest.mark.parametrize(("members", "message"), HARMFUL, ids=[repr(message[:40]) for _, message in HARMFUL])
def test_a_harmful_archive_is_refused_before_anything_is_written(publisher, data, members, message):
    hostile = archive_of(publisher, zipped(WAVS | members))
    said = refusal(ValueError, hostile, data)
    assert said.startswith(f"emodb: the archive from {publisher.url}/emodb.zip {message}")
    assert said.endswith(". It was deleted; try again, then report it")
    assert tree(data.parent.parent) == {"outside": None, "outside/data": None}
    (data / "a.zip").write_bytes(publisher.shelf["/emodb.zip"])
    with pytest.raises(ValueError, match=re.escape(message)):
        download.unpack(data / "a.zip", data / "unpacked")
    assert tree(data / "unpacked") == {}


def test_an_archive_with_an_absolute_path_is_refused(publisher, data):
    elsewhere = (data.parent / "x.wav").as_posix()
    said = refusal(ValueError, archive_of(publisher, zipped(WAVS | {elsewhere: b"x"})), data)
    assert f"emodb.zip would write to {elsewhere!r}; expected paths inside its folder" in said
    assert tree(data.parent.parent) == {"outside": None, "outside/data": None}


@pytest.mark.parametrize(("limit", "value"), [("MAX_MEMBERS", 5), ("MAX_BYTES", 240_263)])
def test_an_archive_of_too_much_is_refused_by_what_it_declares(publisher, data, monkeypatch, limit, value):
    n_bytes = sum(map(len, WAVS.values()))
    assert n_bytes == 240_264
    monkeypatch.setattr(download, limit, value)
    message = refusal(ValueError, archive_of(publisher, GOOD), data)
    assert "emodb.zip unpacks to 6 files of 240,264 bytes; expected at most" in message
    assert f" {value:,} " in message
    assert tree(data) == {}
    monkeypatch.setattr(download, limit, value + 1)
    assert download.fetch(archive_of(publisher, GOOD), data).ok


def declaring(archive, *, size, checksum):
    """Return an archive whose directory gives its only member another size and CRC-32 than it has."""
    changed = bytearray(archive)
    entry = changed.index(b"PK\1\2")
    struct.pack_into("<L", changed, entry + 16, checksum)
    struct.pack_into("<L", changed, entry + 24, size)
    return bytes(changed)


def test_an_archive_that_lies_about_its_size_writes_no_more_than_it_declares(publisher, data, tmp_path, monkeypatch):
    bomb = zipped({"wav/03a01Fa.wav": bytes(20_000_000)})
    assert len(bomb) < 30_000
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    lying = declaring(bomb, size=1000, checksum=zlib.crc32(bytes(20_000_000)))
    message = refusal(ValueError, archive_of(publisher, lying), data)
    assert "emodb.zip cannot be unpacked (Bad CRC-32 for file 'wav/03a01Fa.wav'); expected a sound zip" in message
    assert tree(data) == {}
    (tmp_path / "consistent.zip").write_bytes(declaring(bomb, size=1000, checksum=zlib.crc32(bytes(1000))))
    download.unpack(tmp_path / "consistent.zip", tmp_path / "unpacked")
    assert tree(tmp_path / "unpacked")["wav/03a01Fa.wav"] == bytes(1000)


def damaged(archive):
    """Return an archive with one bit of its first member's content turned over."""
    changed = bytearray(archive)
    changed[20_000] ^= 1
    return bytes(changed)


def encrypted(archive):
    """Return an archive that declares its members to be encrypted."""
    changed = bytearray(archive)
    for head, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        for match in re.finditer(re.escape(head), archive):
            changed[match.start() + flags] |= 1
    return bytes(changed)


UNSOUND = {
    "not a zip": (b"<html>Please log in</html>", "cannot be unpacked (File is not a zip file)"),
    "empty": (b"", "cannot be unpacked (File is not a zip file)"),
    "cut off": (GOOD[:-100], "cannot be unpacked (File is not a zip file)"),
    "damaged": (
        damaged(zipped(WAVS, zipfile.ZIP_STORED)),
        "cannot be unpacked (Bad CRC-32 for file 'wav/03a01Fa.wav')",
    ),
    "damaged inside": (damaged(GOOD), "cannot be unpacked ("),
    "encrypted": (
        encrypted(zipped({"wav/03a01Fa.wav": b"x"})),
        "cannot be unpacked (File <ZipInfo filename='wav/03a01Fa.wav'",
    ),
    "a file and a folder in one": (zipped({"wav": b"x"} | WAVS), "cannot be unpacked ("),
    "a name that is too long": (zipped({f"{'x' * 300}.wav": b"x"} | WAVS), "cannot be unpacked ("),
    "no members": (zipped({}), "holds nothing of emodb; expected names like 03a01Fa.wav"),
    "another corpus": (zipped({"YAF_back_angry.wav": recording("x")}), "holds nothing of emodb; expected names like"),
    "no recordings": (zipped({"wav/03a01Fa.wav": b"text"}), "holds nothing of emodb; expected names like"),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_an_archive_that_is_not_the_corpus_is_refused_and_deleted(publisher, data, kind):
    content, message = UNSOUND[kind]
    said = refusal(ValueError, archive_of(publisher, content), data)
    assert said.startswith(f"emodb: the archive from {publisher.url}/emodb.zip {message}")
    assert said.endswith(". It was deleted; try again, then report it")
    assert tree(data.parent.parent) == {"outside": None, "outside/data": None}
    assert download.fetch(archive_of(publisher, GOOD), data).ok  # nothing of the other is left


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_anywhere_in_an_archive_is_refused_or_changes_no_recording(tmp_path, compression):
    sound = {"wav/a.wav": b"a" * 40, "wav/ä.wav": b"bc" * 20}
    archive, refusals = zipped(sound, compression), []
    for position in range(len(archive)):
        for byte in {0, 255, archive[position] ^ 1} - {archive[position]}:
            (tmp_path / "a.zip").write_bytes(archive[:position] + bytes([byte]) + archive[position + 1 :])
            folder = tmp_path / f"{position}-{byte}"
            try:
                download.unpack(tmp_path / "a.zip", folder)
            except ValueError as error:
                refusals.append(str(error))
            else:
                written = {path: content for path, content in tree(folder).items() if content is not None}
                assert written.items() <= sound.items()
    assert len(refusals) > len(archive)
    assert all("; expected " in refusal for refusal in refusals)  # none of them is zipfile's own


# File by file


def paths(*names):
    return [f"/raw/wav/{name}.wav" for name in names]


def test_a_corpus_is_fetched_file_by_file_and_then_never_again(publisher, loose, data):
    report = download.fetch(loose, data)
    assert (report.ok, report.n_found, report.folder) == (True, 6, str(data / "EMODB"))
    assert tree(data) == PLACED
    assert publisher.paths() == paths(*UTTERANCES)
    assert download.fetch(loose, data).ok
    assert publisher.asked == []


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 40044\n"


@pytest.mark.parametrize("spoilt", [recording("another"), WAVS["wav/03a01Fa.wav"][:-2], POINTER, b"", b"<html>", b"\0"])
def test_a_spoilt_file_is_fetched_again_where_it_lies(publisher, loose, data, spoilt):
    download.fetch(loose, data)
    publisher.asked.clear()
    (data / "EMODB" / "wav" / "03a01Fa.wav").unlink()
    (data / "EMODB" / "elsewhere").mkdir()
    (data / "EMODB" / "elsewhere" / "03a01Fa.wav").write_bytes(spoilt)
    assert download.fetch(loose, data).ok
    assert publisher.paths() == paths("03a01Fa")
    moved = PLACED | {"EMODB/elsewhere": None, "EMODB/elsewhere/03a01Fa.wav": PLACED["EMODB/wav/03a01Fa.wav"]}
    del moved["EMODB/wav/03a01Fa.wav"]
    assert tree(data) == moved


def test_a_clone_of_nothing_but_pointers_is_filled(publisher, loose, data):
    (data / "emodb" / "wav").mkdir(parents=True)
    for path in WAVS:
        (data / "emodb" / path).write_bytes(POINTER)
    assert download.fetch(loose, data).ok
    assert {f"emodb/{path}": content for path, content in WAVS.items()}.items() <= tree(data).items()
    assert len(publisher.asked) == 6


def test_one_file_that_is_not_there_is_named_and_the_others_are_kept(publisher, loose, data):
    missing = publisher.shelf.pop("/raw/wav/10b01Aa.wav")
    assert refusal(ConnectionError, loose, data) == (
        f"emodb: 1 of 6 files did not arrive, such as {publisher.url}/raw/wav/10b01Aa.wav: the server answered 404 Not"
        " Found; the others are kept, try again to go on from there"
    )
    kept = dict(PLACED)
    del kept["EMODB/wav/10b01Aa.wav"]
    assert tree(data) == kept
    publisher.paths()
    publisher.shelf["/raw/wav/10b01Aa.wav"] = missing
    assert download.fetch(loose, data).ok
    assert publisher.paths() == paths("10b01Aa")
    assert tree(data) == PLACED


def test_a_file_with_another_content_is_not_placed(publisher, loose, data):
    publisher.shelf["/raw/wav/10b01Aa.wav"] = recording("another")
    message = refusal(ConnectionError, loose, data)
    assert "1 of 6 files did not arrive, such as " in message
    assert "/raw/wav/10b01Aa.wav: the server sent something else than was published; the others are kept" in message
    assert set(PLACED) - set(tree(data)) == {"EMODB/wav/10b01Aa.wav"}


def test_a_spoilt_file_stays_until_the_published_one_has_come(publisher, loose, data):
    download.fetch(loose, data)
    (data / "EMODB" / "wav" / "10b01Aa.wav").write_bytes(recording("mine"))
    publisher.shelf["/raw/wav/10b01Aa.wav"] = recording("another")
    refusal(ConnectionError, loose, data)
    assert tree(data) == PLACED | {"EMODB/wav/10b01Aa.wav": recording("mine")}


@pytest.mark.parametrize(
    ("fault", "timeout_s", "words"),
    [("breaks_at", 30, "the transfer broke off"), ("hangs_at", 0.3, "the server was silent for 0.3 s")],
)
def test_files_that_come_in_part_are_not_placed(publisher, loose, data, fault, timeout_s, words):
    setattr(publisher, fault, 20_000)
    message = refusal(ConnectionError, loose, data, timeout_s=timeout_s)
    assert "emodb: 6 of 6 files did not arrive, such as " in message
    assert words in message
    assert tree(data) == {}


def test_after_many_failures_no_more_is_asked_for(publisher, loose, data, monkeypatch):
    monkeypatch.setattr(download, "MAX_FAILURES", 2)
    monkeypatch.setattr(download, "N_CONNECTIONS", 1)
    publisher.shelf.clear()
    message = refusal(ConnectionError, loose, data)
    assert "2 of 6 files did not arrive (stopped after so many), such as " in message
    assert len(publisher.asked) == 2


# What a person has to do


@pytest.mark.parametrize("name", ["emovo", "savee", "shemo"])
def test_a_corpus_given_to_people_only_comes_with_steps_that_end_in_a_check(name, data):
    steps = download.instructions(name, data)
    folder = corpora.get(name).folder
    assert steps[0].startswith(f"{name} is given to people only (licence: ")
    assert [step.split(".")[0] for step in steps[1:]] == [f"  {number}" for number in range(1, len(steps))]
    assert steps[-1].endswith(f"Check it: python -m serlib doctor -n {name} -d {data / folder}")
    assert any("http" in step for step in steps)
    assert any(f"into a folder {folder}" in step for step in steps)
    with pytest.raises(LookupError, match=re.escape("\n".join(steps))):
        download.fetch(name, data)
    assert tree(data) == {}


@pytest.mark.parametrize("name", [name for name in corpora.NAMES if name not in ("emovo", "savee", "shemo")])
def test_every_other_corpus_says_where_it_is_fetched(name):
    declared = corpora.get(name).download
    (where,) = declared.keys() & {"url", "files"}
    assert re.match(r"https?://[^/]+/", declared[where])
    assert "steps" not in declared
    if where == "files":
        assert declared["files"].endswith("/")
        assert corpora.get(name).manifest()["sha256"].str.fullmatch("[0-9a-f]{64}").all()


def test_a_corpus_of_your_own_is_not_downloaded(data):
    (data / "mine").mkdir()
    (data / "mine" / "utterances.csv").write_text("path,emotion,speaker\na.wav,anger,1\n")
    message = refusal(ValueError, corpora.own(data / "mine"), data)
    assert message == (
        f"mine is a corpus of your own, in {data / 'mine'}; expected a published one. Check it: python -m serlib doctor"
        f" -d {data / 'mine'}"
    )


def serlib(*words):
    """Run the command line."""
    environment = {**os.environ, "SERLIB_PROFILE": "full"}
    return subprocess.run([sys.executable, "-m", "serlib", *words], capture_output=True, text=True, env=environment)


def test_the_terminal_prints_the_steps(data):
    done = serlib("download", "emovo", "-o", str(data))
    assert done.returncode == 1
    assert done.stdout.splitlines() == download.instructions("emovo", data)
    assert len(done.stderr.splitlines()) == 1


def test_the_terminal_refuses_an_unknown_corpus_in_a_line(data):
    done = serlib("download", "nowhere", "-o", str(data))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("serlib: corpus 'nowhere' is unknown; use one of emovo, emodb")
