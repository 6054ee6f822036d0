"""What people hand in that is no recording, no table, no bundle: each is answered in a line, and the rest goes on."""

import base64
import errno
import gzip
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import stat
import struct
import subprocess
import sys
import zipfile

import hypothesis
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import soundfile
from hypothesis import strategies as st

import containers
from conftest import REAL, put_at_hand
from serlib import (
    audio,
    bundle,
    corpora,
    download,
    evaluate,
    features,
    index,
    interchange,
    metrics,
    predict,
    recipes,
    storage,
)

PAPER = recipes.get("paper").features
NOISE = np.random.default_rng(0).uniform(-0.3, 0.3, 8000).astype(np.float32)  # half a second


# Sound files


def encoded(signal=NOISE, sr=16000, **how):
    """Return a signal as the bytes of a sound file, 16-bit WAV unless told otherwise."""
    file = io.BytesIO()
    soundfile.write(file, signal, sr, **{"format": "WAV", **how})
    return file.getvalue()


def patched(at, form, value, **how):
    """Return a WAV file with a field of its header changed."""
    content = bytearray(encoded(**how))
    struct.pack_into(form, content, at, value)
    return bytes(content)


def cut(content, share=0.5):
    return content[: int(len(content) * share)]


def scratched(content):
    """Return a file with a hole in its middle."""
    middle = len(content) // 2
    return content[:middle] + bytes(200) + content[middle + 200 :]


def endless_flac():
    """Return a FLAC file whose writer left open how many samples it has, as the format allows."""
    content = bytearray(encoded(format="FLAC"))
    content[21] &= 0xF0  # the last 36 bits of eight bytes from 18 on
    content[22:26] = bytes(4)
    return bytes(content)


RATE, CHANNELS, DATA_BYTES = 24, 22, 40  # where they stand in the header of a plain WAV file
FLAC, OGG, MP3, AIFF = ({"format": container} for container in ("FLAC", "OGG", "MP3", "AIFF"))
STEREO = np.stack([NOISE, NOISE], axis=1)

# What is no utterance: the content, and what is said of it.
BAD = {
    "empty": (b"", "is empty (0 bytes), not audio; expected a recording. Get the file again"),
    "text": (b"Test audio content", "is text (18 bytes), not audio; expected a recording. Get the file again"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "is a Git-LFS pointer (43 bytes), not audio;"),
    "random": (np.random.default_rng(1).bytes(999), "is not audio that can be read (999 bytes); expected WAV, FLAC"),
    "zeros": (bytes(999), "is not audio that can be read (999 bytes); expected WAV, FLAC"),
    "phone": (b"\0\0\0\x20ftypM4A " + bytes(99), "is MPEG-4 that cannot be decoded ("),
    "header only": (encoded(NOISE[:0]), "has a header but no samples; expected speech"),
    "cut in the header": (cut(encoded(), 0.002), "is not audio that can be read (32 bytes)"),
    "cut in the data": (cut(encoded()), "is cut off: 3,989 of 8,000 samples are there; expected all of them"),
    "cut, of 8 bits": (cut(encoded(subtype="PCM_U8")), "is cut off: 3,978 of 8,000"),
    "cut, of 24 bits": (cut(encoded(subtype="PCM_24"), 0.75), "is cut off: 5,996 of 8,000"),
    "cut, of floats": (cut(encoded(subtype="DOUBLE")), "is cut off: 3,995 of 8,000"),
    "cut, stereo": (cut(encoded(STEREO)), "is cut off: 3,994 of 8,000"),
    "cut AIFF": (cut(encoded(**AIFF)), "is cut off: 3,98"),
    "declares twice as much": (patched(DATA_BYTES, "<I", 32000), "is cut off: 8,000 of 16,000 samples are there"),
    "declares 2 GB": (patched(DATA_BYTES, "<I", 2_000_000_000), "is cut off: 8,000 of 1,000,000,000 samples"),
    "rate of 0": (patched(RATE, "<I", 0), "is not audio that can be read"),
    "rate of 3999": (patched(RATE, "<I", 3999), "has a rate of 3,999 Hz; expected speech at 4,000 to 384,000 Hz"),
    "rate of 1 MHz": (patched(RATE, "<I", 1_000_000), "has a rate of 1,000,000 Hz; expected speech at 4,000"),
    "rate of 2 GHz": (patched(RATE, "<I", 2**31 - 1), "has a rate of 2,147,483,647 Hz; expected speech at 4,000"),
    "rate of 4 GHz": (patched(RATE, "<I", 4_000_000_000), "is not audio that can be read"),
    "no channels": (patched(CHANNELS, "<H", 0), "is not audio that can be read"),
    "9 channels": (encoded(np.stack([NOISE] * 9, axis=1)), "has 9 channels; expected at most 8. Keep some of them"),
    "32 channels": (encoded(np.stack([NOISE] * 32, axis=1)), "has 32 channels; expected at most 8"),
    "1000 channels": (patched(CHANNELS, "<H", 1000), "has 1,000 channels; expected at most 8"),
    "endless FLAC": (endless_flac(), "does not say how long it is; expected a header that does. Export it again"),
    "an hour": (encoded(np.zeros(3600 * 4000, np.int16), 4000), "lasts 3600 s; expected one utterance, at most 120 s"),
    "a millionth of a Hertz": (patched(RATE, "<I", 1), "lasts 8000 s; expected one utterance, at most 120 s"),
}
# The same, but nothing of it shows in the header: it comes to light when the file is decoded.
BAD_INSIDE = {
    "NaN": (encoded(np.array([0, np.nan, 0.1]), subtype="FLOAT"), "has samples that are not finite numbers, or beyond"),
    "infinity": (encoded(np.array([0, np.inf, 0]), subtype="FLOAT"), "has samples that are not finite numbers"),
    "3e38": (
        encoded(np.array([0, 3e38, -3e38]), subtype="FLOAT"),
        "has samples that are not finite numbers, or beyond",
    ),
    "1e300": (encoded(np.array([0, 1e300]), subtype="DOUBLE"), "expected values in [-1, 1]. Export it again"),
    "NaN in a channel": (encoded(STEREO * [1, np.nan], subtype="FLOAT"), "has samples that are not finite numbers"),
    "cut FLAC": (cut(encoded(**FLAC)), "is damaged inside, after 0 of 8,000 samples; expected all of them"),
    "scratched FLAC": (scratched(encoded(**FLAC)), "is damaged inside, after 0 of 8,000 samples"),
    "cut MP3": (cut(encoded(**MP3)), "is cut off: "),
}
# What looks odd and is fine.
GOOD = {
    "plain": encoded(),
    "1 sample": encoded(NOISE[:1]),
    "silence": encoded(NOISE * 0),
    "8 bits": encoded(subtype="PCM_U8"),
    "24 bits": encoded(subtype="PCM_24"),
    "32 bits": encoded(subtype="PCM_32"),
    "float": encoded(subtype="FLOAT"),
    "double": encoded(subtype="DOUBLE"),
    "mu-law": encoded(subtype="ULAW"),
    "A-law": encoded(subtype="ALAW"),
    "ADPCM": encoded(subtype="IMA_ADPCM"),
    "AIFF": encoded(**AIFF),
    "FLAC": encoded(**FLAC),
    "OGG": encoded(**OGG),
    "MP3": encoded(**MP3),
    "8 channels": encoded(np.stack([NOISE] * 8, axis=1)),
    "4 kHz": encoded(sr=4000),
    "384 kHz": encoded(sr=384_000),
    "two blocks and a sample": encoded(np.zeros(2 * audio.BLOCK + 1, np.int16), 48000),
    "120 s": encoded(np.zeros(120 * 4000, np.int16), 4000),
    "written as a stream": patched(DATA_BYTES, "<I", 0xFFFFFFFF),
    "written as a stream by SoX": patched(DATA_BYTES, "<I", 0x7FFFF000),
    "written as a stream of 2 GB": patched(DATA_BYTES, "<I", 0x80000000),
    "header counted, too": patched(DATA_BYTES, "<I", 16044),
    "junk after it": encoded() + b"junk" * 99,
    "whole numbers as floats": encoded(NOISE * 2**31, subtype="FLOAT"),
    "hardly anything": encoded(NOISE * 1e-40, subtype="FLOAT"),
    "M4A": containers.encoded(NOISE, "m4a"),
    "WebM": containers.encoded(NOISE, "webm"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_utterance_is_refused_from_its_header(tmp_path, monkeypatch, name):
    content, line = BAD[name]
    (tmp_path / "a.wav").write_bytes(content)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole line is compared
        audio.load(tmp_path / "a.wav", 22050)
    assert str(refused.value).startswith(f"{tmp_path}/a.wav {line}")


@pytest.mark.parametrize("name", BAD_INSIDE)
def test_what_is_damaged_inside_is_refused_when_it_is_decoded(tmp_path, name):
    content, line = BAD_INSIDE[name]
    (tmp_path / "a.wav").write_bytes(content)
    assert isinstance(audio.inspect(tmp_path / "a.wav"), audio.Header)
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the whole line is compared
        audio.load(tmp_path / "a.wav", 22050)
    assert str(refused.value).startswith(f"{tmp_path}/a.wav ")
    assert line in str(refused.value)


@pytest.mark.parametrize("recipe", ["original-2021", "paper-levelled", "mfcc-functionals+svm", "log-mel+attention-cnn"])
@pytest.mark.parametrize("name", GOOD)
def test_what_only_looks_odd_has_finite_features(tmp_path, name, recipe):
    (tmp_path / "a.wav").write_bytes(GOOD[name])
    vector = features.from_file(tmp_path / "a.wav", features=recipes.get(recipe).features)
    assert vector.shape == recipes.get(recipe).features.shape
    assert np.isfinite(vector).all()


def test_a_long_recording_is_mixed_down_and_read_whole(tmp_path):
    signal = np.random.default_rng(0).integers(-9999, 9999, (2 * audio.BLOCK + 7, 2)).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", signal, 48000)
    np.testing.assert_array_equal(audio.load(tmp_path / "a.wav", 48000), (signal / np.float32(32768)).mean(axis=1))


def test_no_more_is_read_than_an_utterance_has_whatever_the_header_claims(tmp_path):
    """A process that may hold 3 GB meets 8 GB of samples, and 900 MB in each of the other ways to say so."""
    header = patched(DATA_BYTES, "<I", 0xFFFFFFFF, signal=NOISE[:0])
    starts = {
        "8-gb.wav": header,
        "wav.wav": header,
        "mp3.mp3": b"ID3\4" + bytes(6),
        "ogg.ogg": b"OggS\0\2",
        "0.wav": b"\0",
    }
    for name, start in starts.items():
        (tmp_path / name).write_bytes(start)
        os.truncate(tmp_path / name, 8 << 30 if name == "8-gb.wav" else 900 << 20)  # holes: they take no room
    (tmp_path / "good.wav").write_bytes(GOOD["plain"])
    pytest.importorskip("resource")
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (3 << 30,) * 2); from serlib import cli; cli.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", tmp_path, "-m", "emodb-paper", "--json"], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    said = {os.path.basename(one["path"]): one.get("error", "") for one in json.loads(done.stdout)}
    assert said.pop("good.wav") == ""
    assert "has 8,589,934,592 bytes; expected one utterance, at most 120 s" in said.pop("8-gb.wav")
    assert "lasts 29491 s; expected one utterance" in said.pop("wav.wav")
    assert all("is not audio that can be read" in line for line in said.values())


@pytest.fixture
def copy(tmp_path):
    """A copy of EMODB: bad, damaged and good files under published names; {published stem: which}."""
    names = [*BAD, *BAD_INSIDE, *GOOD]
    contents = [content for content, _ in (BAD | BAD_INSIDE).values()] + list(GOOD.values())
    stems = corpora.get("emodb").published().index[: len(names)]
    (tmp_path / "EMODB").mkdir()
    for stem, content in zip(stems, contents, strict=True):
        (tmp_path / "EMODB" / f"{stem}.wav").write_bytes(content)
    return tmp_path / "EMODB", dict(zip(stems, names, strict=True))


def test_index_names_what_is_no_utterance_and_indexes_the_rest(copy, terminal):
    folder, names = copy
    code, out, lines = terminal("index", "-d", folder, "-n", "emodb", "-o", "a.csv", "--json")
    assert code == 0
    table = index.read("a.csv")
    assert {names[row.removeprefix("emodb/")] for row in table["utterance"]} == {*BAD_INSIDE, *GOOD}
    bad = dict.fromkeys(
        ("empty", "text", "lfs-pointer", "unreadable", "no-samples", "cut-off", "format", "too-long"), 0
    )
    for name in BAD:
        (folder / "a.wav").write_bytes(BAD[name][0])
        bad[audio.inspect(folder / "a.wav").kind] += 1
    more = [f"{n - 1} more {'is' if n == 2 else 'are'} like it." for n in bad.values() if n > 1]
    problems = json.loads(out)["problems"]
    assert all(sum(problem.endswith(line) for problem in problems) >= more.count(line) for line in more)
    assert sum("; expected " in problem for problem in problems) == len(bad)
    assert [f"serlib: {problem}" for problem in problems] == [line for line in lines if "kept out" not in line]


def test_doctor_has_a_finding_for_each_and_reads_the_rest(copy, terminal):
    folder, names = copy
    code, out, lines = terminal("doctor", "-d", folder, "-n", "emodb", "--json")
    assert (code, lines) == (1, [])
    findings = [finding for finding in json.loads(out)["findings"] if finding["kind"] != "missing"]
    assert {finding["path"] for finding in findings} == {f"{stem}.wav" for stem in names}
    for stem, name in names.items():
        first, *more = [finding for finding in findings if finding["path"] == f"{stem}.wav"]
        if name in BAD:
            said = f"{first['found']}; expected {first['expected']}. {first['next'].capitalize()}"
            assert said.startswith(BAD[name][1])
            assert more == []
        else:
            assert first["kind"] == "altered"
    code, out, lines = terminal("doctor", "-d", folder, "-n", "emodb")
    assert (code, lines) == (1, [])
    assert f"{len(BAD_INSIDE) + len(GOOD)} of 535 utterances are there" in out


def test_predict_hears_the_good_files_among_the_bad_ones(copy, terminal):
    folder, names = copy
    code, out, lines = terminal("predict", folder, "-m", "emodb-paper", "--json")
    assert code == 1
    for heard in json.loads(out):
        name = names[os.path.basename(heard["path"]).removesuffix(".wav")]
        assert ("error" in heard) == (name not in GOOD)
        if "error" in heard:
            assert (BAD | BAD_INSIDE)[name][1] in heard["error"]
            assert f"serlib: {heard['error']}" in lines
        else:
            assert sum(heard["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_a_damaged_recording_does_not_undo_the_work_on_others(copy, terminal, monkeypatch):
    folder, names = copy
    terminal("index", "-d", folder, "-n", "emodb", "-o", "a.csv")
    code, out, lines = terminal("train", "-p", "a.csv", "--epochs", 1)
    assert (code, out) == (2, "")
    (line,) = lines
    assert line.count("; expected ") == 3
    assert line.endswith(f"({len(BAD_INSIDE)} recordings in all cannot be read)")
    table = index.read("a.csv")
    table = table[[names[row.removeprefix("emodb/")] in GOOD for row in table["utterance"]]]
    monkeypatch.setattr(audio, "load", None)  # all others have been computed
    assert np.isfinite(features.extract(table, features=PAPER, root=folder)).all()


# Names, links and permissions

# What a file is called, and how it is shown.
NAMES = {
    "a b.wav": "a b.wav",
    'it\'s "a".wav': 'it\'s "a".wav',
    "a\nserlib: b.wav": r"a\nserlib: b.wav",
    "äß漢\u200cی.wav": "äß漢\u200cی.wav",
    "a" * 246 + ".wav": "a" * 246 + ".wav",
    "a\x1b[31m.wav": r"a\u001b[31m.wav",
    "a\x1b]0;owned\7.wav": r"a\u001b]0;owned\u0007.wav",
    "a\x9b2J.wav": r"a\u009b2J.wav",
    "a\u202egpj.wav": r"a\u202egpj.wav",
    "a\udcff.wav": r"a\udcff.wav",  # a byte that is no UTF-8
    "[red]a[/red].wav": "[red]a[/red].wav",
    "a:smile:.wav": "a:smile:.wav",
    "-p.wav": "-p.wav",
}
OBEYED = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u202e\udc80-\udcff]")


@pytest.fixture(params=range(len(NAMES)))
def named(request, tmp_path):
    """A folder with a good and a bad recording of an odd name; their names, and how these are shown."""
    name, shown = list(NAMES.items())[request.param]
    for folder, content in (("good", GOOD["plain"]), ("bad", b"Test audio content")):
        file = tmp_path / "place" / folder / name
        file.parent.mkdir(parents=True)
        file.write_bytes(content)
    return tmp_path / "place", name, shown


def test_predict_takes_any_name_and_no_terminal_obeys_it(named, terminal):
    folder, name, shown = named
    code, out, lines = terminal("predict", folder, "-m", "emodb-paper")
    assert code == 1
    assert not OBEYED.search(out + "\n".join(lines))
    assert f"place/good/{shown} " in out
    assert sum(f"place/bad/{shown} is text (18 bytes)" in line for line in lines) == 1
    code, out, _ = terminal("predict", folder, "-m", "emodb-paper", "--json")
    assert not OBEYED.search(out)
    assert {one["path"] for one in json.loads(out)} == {f"{folder}/{where}/{name}" for where in ("good", "bad")}


def test_index_and_doctor_take_any_name_and_no_terminal_obeys_it(named, terminal):
    folder, _, _ = named
    (folder / "03a01Fa.wav").write_bytes(GOOD["plain"])
    (folder / "\udcff").mkdir()
    (folder / "\udcff" / "03a01Wa.wav").write_bytes(GOOD["plain"])
    (folder / "\x1b[2J").mkdir()
    (folder / "\x1b[2J" / "03a01Nc.wav").write_bytes(b"")
    code, out, lines = terminal("index", "-d", folder, "-n", "emodb", "-o", "a.csv")
    assert code == 0
    assert not OBEYED.search(out + "\n".join(lines))
    assert any("emodb: 3 sound files not named as this corpus's, not read" in line for line in lines)
    assert any("\\u001b[2J/03a01Nc.wav is empty" in line for line in lines)
    assert index.read("a.csv")["path"].tolist() == ["03a01Fa.wav"]
    code, out, lines = terminal("doctor", "-d", folder, "-n", "emodb")
    assert (code, lines) == (1, [])
    assert not OBEYED.search(out)
    code, out, _ = terminal("doctor", "-d", folder, "-n", "emodb", "--json")
    assert not OBEYED.search(out)
    assert "\x1b[2J/03a01Nc.wav" in {finding["path"] for finding in json.loads(out)["findings"]}


def test_an_error_shows_any_name_so_that_no_terminal_obeys_it(terminal):
    for words in (
        ("index", "-d", "a\x1b[2J", "-n", "emodb"),
        ("train", "-p", "a\x1b[2J.csv"),
        ("predict", "a.wav", "-m", "a\x1b[2J"),
        ("predict", "--\x1b[2J"),
        ("index", "-n", "\x1b[2J"),
        ("audit", "\x1b[2J.csv"),
    ):
        code, out, lines = terminal(*words)
        assert (code, out, len(lines)) == (2, "", 1)
        assert "\\u001b[2J" in lines[0] or "\\x1b[2J" in lines[0]
        assert not OBEYED.search(lines[0])


@pytest.fixture
def strange_places(tmp_path):
    """A folder of what has a sound's name and is no file; {name: what is said of it}."""
    folder = tmp_path / "strange"
    (folder / "wav" / "03a01Fa.wav").mkdir(parents=True)
    (folder / "wav" / "03a01Nc.wav").symlink_to("gone.wav")
    (folder / "wav" / "03a01Wa.wav").symlink_to("03a01Wa.wav")
    (folder / "wav" / "round").symlink_to(folder)
    os.mkfifo(folder / "wav" / "03a02Fc.wav")
    (folder / "wav" / "03a02Nc.wav").symlink_to("/dev/zero")
    (folder / "wav" / "03a02Ta.wav").write_bytes(GOOD["plain"])
    said = {
        "03a01Fa.wav": "is a folder",
        "03a01Nc.wav": "is a link that leads nowhere",
        "03a01Wa.wav": "is a link that leads nowhere",
        "03a02Fc.wav": "is a pipe or a device",
        "03a02Nc.wav": "is a pipe or a device",
    }
    return folder, said


def test_folders_links_pipes_and_devices_are_told_and_waited_for_by_nobody(strange_places, terminal):
    folder, expected = strange_places
    code, out, _ = terminal("doctor", "-d", folder, "-n", "emodb", "--json")
    findings = {f["path"]: f["found"] for f in json.loads(out)["findings"] if f["kind"] == "gone"}
    assert (code, findings) == (1, {f"wav/{name}": said for name, said in expected.items()})
    code, _, lines = terminal("index", "-d", folder, "-n", "emodb", "-o", "a.csv")
    assert code == 0
    assert (
        sum("03a01Fa.wav is a folder; expected a sound file. Name another. 4 more are" in line for line in lines) == 1
    )
    assert len(index.read("a.csv")) == 1
    for paths in ([folder], sorted((folder / "wav").glob("*.wav"))):
        code, out, _ = terminal("predict", *paths, "-m", "emodb-paper", "--json")
        errors = {os.path.basename(one["path"]): one["error"] for one in json.loads(out) if "error" in one}
        assert (code, errors.keys()) == (1, expected.keys())
        assert all(expected[name] in error for name, error in errors.items())


def test_nobody_waits_for_a_pipe_where_a_recording_was(strange_places):
    folder, _ = strange_places
    table = index.scan(folder, "emodb")
    (folder / "wav" / "03a02Ta.wav").unlink()
    os.mkfifo(folder / "wav" / "03a02Ta.wav")
    with pytest.raises(FileNotFoundError, match="03a02Ta.wav is gone; it was there when the corpus was indexed"):
        features.extract(table, features=PAPER)


def test_what_may_not_be_read_is_told_and_the_rest_goes_on(tmp_path, terminal, monkeypatch):
    (tmp_path / "a.wav").write_bytes(BAD["random"][0])
    (tmp_path / "b.wav").write_bytes(GOOD["plain"])
    (tmp_path / "a.wav").chmod(0)
    if os.access(tmp_path / "a.wav", os.R_OK):  # to the administrator nothing is forbidden

        def forbid(path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(sys.modules["serlib.audio.files"], "_start", forbid)
    code, out, _ = terminal("predict", tmp_path, "-m", "emodb-paper", "--json")
    assert code == 1
    assert ["error" in one for one in json.loads(out)] == [True, False]
    assert "a.wav cannot be opened (Permission denied); expected a recording. Let yourself read it" in out


@pytest.mark.corpus
def test_predict_says_of_real_odd_files_what_they_are(terminal):
    if REAL is None or not (REAL / "oddities").is_dir():
        pytest.skip("no odd files: SERLIB_DATA/oddities is not there")
    files = sorted(file for file in (REAL / "oddities").rglob("*.*") if file.is_file())
    code, out, _ = terminal("predict", *files, "-m", "emodb-paper", "--json")
    assert code == 1
    errors = {heard["path"]: heard["error"] for heard in json.loads(out) if "error" in heard}
    assert all(line.startswith(f"{path} ") and "; expected " in line for path, line in errors.items())
    parents = {os.path.basename(os.path.dirname(path)) for path in errors}
    assert parents == {"AudioWAV", "header-only", "__MACOSX", "text-in-wav", "zero-byte"}


# Tables


@pytest.fixture
def table(wavs, workplace):
    """An index table of a few utterances of EMODB on disk, and a function that writes another version of it."""
    stems = [f"{speaker}a0{k}{code}a" for speaker in ("03", "08") for code in "WFN" for k in (1, 2, 4, 5)]
    folder = wavs(*(f"wav/{stem}.wav" for stem in stems), sr=16000)
    table = index.scan(folder, "emodb")
    index.write(table, workplace / "a.csv")

    def write(**columns):
        changed = table.assign(**columns)
        changed.attrs = table.attrs
        index.write(changed, workplace / "a.csv")

    return table, write


# A cell of the first row: its column, what stands there, and what is said of it.
CELLS = [
    ("emotion", "Rage", "an emotion that is 'Rage'; expected one of anger"),
    ("emotion", "\x1b[2J", "an emotion that is '\\x1b[2J'; expected one of anger"),
    ("part", "dev", "unknown values in 'part': ['dev']"),
    ("path", "/etc/passwd", "has paths that lead out of the corpus's folder: '/etc/passwd'; expected paths inside it"),
    ("path", "../a.wav", "has paths that lead out of the corpus's folder: '../a.wav'"),
    ("path", "wav/../../a.wav", "has paths that lead out of the corpus's folder: 'wav/../../a.wav'"),
    ("path", "wav\\..\\..\\a.wav", "has paths that lead out of the corpus's folder"),
    ("path", "C:\\a.wav", "has paths that lead out of the corpus's folder"),
    ("path", "wav/gone.wav", "wav/gone.wav is gone; it was there when the corpus was indexed"),
    ("path", "wav", "wav is gone; it was there when the corpus was indexed"),
    ("path", "", " is gone; it was there when the corpus was indexed"),
    ("path", "wav/\x1b[2J.wav", "wav/\\u001b[2J.wav is gone"),
    ("path", "wav/a\0b.wav", "a.csv is not text (it holds characters of value zero)"),
    ("content", "0" * 64, "is not the file that was indexed (its content differs)"),
    ("utterance", "emodb/08a01Fa", "holds 'emodb/08a01Fa' twice (1 rows too many); expected each utterance once"),
    ("speaker", "", "a.csv does not say who speaks in 'emodb/03a01Fa'; make it again"),
    ("corpus", "../x", "holds the corpus '../x'; expected corpora called by their ids"),
    ("sample_rate_hz", "9" * 30, "has text among its numbers"),
    ("duration_s", "long", "has text among its numbers"),
    ("age", "1e400", "has text among its numbers"),
    ("duration_s", "1e400", "has durations, rates or numbers of channels that no recording has"),
    ("duration_s", "nan", "has durations, rates or numbers of channels that no recording has"),
    ("sample_rate_hz", "-1", "has durations, rates or numbers of channels that no recording has"),
    ("channels", "0", "has durations, rates or numbers of channels that no recording has"),
]


@pytest.mark.parametrize(("column", "value", "message"), CELLS)
def test_a_wrong_cell_is_one_line(table, terminal, column, value, message):
    good, write = table
    write(**{column: [value, *good[column].astype(str)[1:]]})
    code, out, lines = terminal("train", "-p", "a.csv", "--epochs", 1)
    assert (code, out, len(lines)) == (2, "", 1)
    assert message in lines[0]
    assert not OBEYED.search(lines[0])


def recoded(encoding):
    return lambda text: text.encode(encoding)


# A whole table: what becomes of its text, and what is said of it.
TEXTS = {
    "nothing": (lambda text: b"", "a.csv, line 1: the column 'utterance' is missing; expected utterance,corpus,path,"),
    "blank lines": (lambda text: b"\n\n", "a.csv, line 2: the column 'utterance' is missing"),
    "no rows": (lambda text: text.split("\n")[0].encode(), "a.csv has no rows; make it again"),
    "cut off": (
        lambda text: text[:-200].encode(),
        "a.csv, line 24: expected 18 values, as in the first; make it again with 'python -m serlib index",
    ),
    "a column less": (lambda text: text.replace("speaker", "spoken", 1).encode(), "the column 'speaker' is missing"),
    "a value more": (
        lambda text: text.replace("\nemodb", "\nx,emodb", 1).encode(),
        "a.csv, line 2: expected 18 values, as in the first",
    ),
    "a column twice": (
        lambda text: text.replace(",race,", ",emotion,", 1).encode(),
        "a.csv, line 1: the column 'emotion' is there twice; expected each name once",
    ),
    "an open quote": (lambda text: text.replace("wav/", '"wav/', 1).encode(), "a.csv, line 25: expected 18 values"),
    "UTF-16": (recoded("utf-16"), "a.csv is not text in UTF-8"),
    "no encoding": (lambda text: b"\xff\xfe\0" + bytes(range(256)), "a.csv is not text in UTF-8"),
    "a sound": (lambda text: GOOD["plain"], "a.csv is not text in UTF-8"),
    "JSON": (lambda text: b"[" * 99_999, "a.csv, line 1: the column 'utterance' is missing"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_table_is_one_line(table, terminal, workplace, name):
    change, message = TEXTS[name]
    (workplace / "a.csv").write_bytes(change((workplace / "a.csv").read_text()))
    for command in ("train", "evaluate"):
        code, out, lines = terminal(command, "-p", "a.csv", "--epochs", 1)
        assert (code, out, len(lines)) == (2, "", 1)
        assert message in lines[0]


@pytest.mark.parametrize("change", [
    lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),  # as a spreadsheet saves it
    lambda text: text.replace("utterance,", "number,utterance,", 1).replace("\nemodb", "\n7,emodb").encode(),
    lambda text: "\n".join([(lines := text.split("\n"))[0], *reversed(lines[1:])]).encode(),
])  # fmt: skip
def test_a_table_as_other_programs_save_it_is_the_same(table, workplace, change):
    (workplace / "a.csv").write_bytes(change((workplace / "a.csv").read_text()))
    pd.testing.assert_frame_equal(index.read("a.csv"), table[0], check_dtype=False)


@pytest.mark.parametrize("beside", ["", "[]", "{", "[" * 99_999, '{"folder": 3}', '{"n": ' + "9" * 5000 + "}", "\0"])
def test_what_stands_beside_a_table_is_checked_too(table, terminal, workplace, beside):
    (workplace / "a.json").write_text(beside)
    code, out, lines = terminal("train", "-p", "a.csv", "--epochs", 1)
    assert (code, out, len(lines)) == (2, "", 1)
    what = r"a\.json (is not JSON \(|is not text \(|does not say where the recordings of a\.csv are)"
    assert re.search(what, lines[0])


@pytest.mark.parametrize(
    ("words", "there", "message"),
    [
        (
            ("index", "-d", "corpus", "-n", "emodb", "-o", "b.csv"),
            "b.csv/thesis.txt",
            "b.csv is a folder; expected a file, or nothing",
        ),
        (
            ("index", "-d", "corpus", "-n", "emodb", "-o", "b.csv"),
            "b.json/thesis.txt",
            "b.json is a folder; expected a file",
        ),
        (
            ("index", "-d", "corpus", "-n", "emodb", "-o", "utterances.csv"),
            "utterances.csv",
            "utterances.csv would declare a corpus",
        ),
        (
            ("train", "-p", "a.csv", "--epochs", "1", "-o", "b"),
            "b/bundle.json",
            "b holds 'thesis.txt', which is no part",
        ),
        (("train", "-p", "a.csv", "-o", "b"), "b.txt", "--seed"),
        (
            ("index", "-d", "corpus", "-n", "emodb", "-o", "b.csv"),
            "b.json",
            "b.json is not serlib's, and would be replaced; nothing was written. Name another place",
        ),
        (("evaluate", "-p", "a.csv", "-o", "b.csv"), "b.json", "b.json is not serlib's, and would be replaced"),
    ],
)
def test_what_is_somebody_elses_stays(table, terminal, workplace, words, there, message):
    for kept in (there, "b/thesis.txt" if there.startswith("b/") else "thesis.txt", "c/thesis.txt"):
        (workplace / kept).parent.mkdir(parents=True, exist_ok=True)
        (workplace / kept).write_text("[1]")
    before = {file: file.read_bytes() for file in workplace.rglob("*") if file.is_file() and file.suffix != ".sqlite"}
    code, out, (line,) = terminal(*words, *(["--seed", "-1"] if there == "b.txt" else []))
    assert (code, out) == (2, "")
    assert message in line
    assert {file: file.read_bytes() for file in before} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("index", "-d", "corpus", "-n", "emodb", "-o", "/proc/b.csv"), "/proc/b.json cannot be written (No such file"),
        (
            ("index", "-d", "corpus", "-n", "emodb", "-o", "/dev/null/b.csv"),
            "/dev/null/b.json cannot be written (its folder",
        ),
        (("train", "-p", "a.csv", "-o", "/proc/b"), "/proc/b cannot be written (No such file or directory); what was"),
        (
            ("index", "-d", "corpus", "-n", "emodb", "-o", f"{'b' * 300}.csv"),
            "bbb.json cannot be written (File name too",
        ),
        (
            ("evaluate", "-p", "a.csv", "-o", "/proc/b.csv"),
            "/proc/b.json cannot be written (No such file or directory)",
        ),
        (("evaluate", "-p", "a.csv", "-o", f"{'b' * 300}.csv"), "bbb.json cannot be written (File name too long)"),
        (("evaluate", "-p", "a.csv", "-o", "b.csv"), "b.json is a folder; expected a file, or nothing. Name another"),
        (
            ("evaluate", "-p", "a.csv", "-o", "b.txt"),
            "b.txt is not the name of a table; expected one that ends in .csv",
        ),
    ],
)
def test_a_place_where_nothing_can_be_written_is_named_before_any_work(
    table, terminal, workplace, monkeypatch, words, message
):
    (workplace / "b.json").mkdir()
    monkeypatch.setattr(features, "extract", None)
    code, out, (line,) = terminal(*words)
    assert (code, out) == (2, "")
    assert message in line


def test_a_bundle_that_cannot_take_the_score_is_named_before_any_work(table, terminal, workplace, monkeypatch):
    shutil.copytree(bundle.SHIPPED / "emodb-paper", workplace / "b")
    monkeypatch.setattr(features, "extract", None)
    code, out, (line,) = terminal("evaluate", "-p", "a.csv", "--into", "b")
    assert (code, out) == (2, "")
    assert "the bundle was trained on another task than the one that is evaluated" in line


def test_a_bundle_with_its_pictures_is_replaced(table, terminal, workplace):
    for _ in range(2):
        assert terminal("train", "-p", "a.csv", "--epochs", 2, "-a", "-c", "-o", "b")[0] == 0
    assert len(list((workplace / "b").glob("*.png"))) == 2


def test_a_corpus_of_your_own_that_is_gone_is_said_to_be(wavs, terminal, workplace):
    rows = [f"{emotion}-{number}.wav,{emotion},a" for emotion in ("anger", "fear") for number in range(5)]
    folder = wavs(*(row.split(",")[0] for row in rows))
    (folder / "utterances.csv").write_text("\n".join(["path,emotion,speaker", *rows]))
    assert terminal("index", "-d", folder, "-o", "own.csv")[0] == 0
    folder.rename(workplace / "elsewhere")
    code, out, (line,) = terminal("train", "-p", "own.csv", "--epochs", 1)
    assert (code, out) == (2, "")
    assert "corpus, where the recordings of corpus were, is gone; expected them there. Say where they are with" in line
    assert terminal("train", "-p", "own.csv", "--epochs", 1, "--data", "elsewhere")[0] == 0


@pytest.mark.parametrize(
    ("command", "code", "stderr"),
    [
        ("mkdir gone; cd gone; rmdir ../gone; {}", 2, "serlib: the working folder is gone; expected one that is there"),
        ("{} > /dev/full", 2, "serlib: stdout cannot be written to (No space left on device); expected room"),
        ("{} -h | true; exit ${{PIPESTATUS[0]}}", 1, ""),
        ("{} index -n emodb --json 2>&- | tail -n 1", 0, ""),
        ("{} index -n emodb <&- >&- 2>&- && ls build/tiny/csv/emodb.csv", 0, ""),
    ],
)
def test_a_shell_that_is_left_or_closed_is_no_riddle(workplace, made, command, code, stderr):
    put_at_hand(made, workplace)
    done = subprocess.run(["bash", "-c", command.format(f"{sys.executable} -m serlib")], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(stderr)
    assert done.stderr.count("\n") == bool(stderr)
    assert done.stdout.strip() in ("", "}", "build/tiny/csv/emodb.csv")


def test_a_terminal_that_shows_little_costs_nobody_the_result(workplace, made):
    put_at_hand(made, workplace)
    command = [sys.executable, "-m", "serlib", "index", "-n", "emodb", "-o", "ä.csv"]
    env = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "0"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "anger" in done.stdout
    assert done.stdout.endswith("\n\\xe4.csv\n")


def test_a_folder_that_may_not_be_read_is_named_and_not_left_out(table, terminal, workplace, monkeypatch):
    scan = os.scandir

    def refusing(folder):  # which root is not
        if os.fspath(folder).endswith("shut"):
            raise PermissionError(13, "Permission denied", folder)
        return scan(folder)

    (workplace / "corpus" / "shut").mkdir()
    monkeypatch.setattr(os, "scandir", refusing)
    for words in (
        ("predict", "corpus", "-m", "emodb-paper"),
        ("index", "-d", "corpus", "-n", "emodb"),
        ("doctor", "-d", "corpus", "-n", "emodb"),
    ):
        code, out, (*_, line) = terminal(*words)
        assert (code, out) == (2, "")
        assert "corpus/shut cannot be looked into (Permission denied); expected a folder to be read" in line


@pytest.mark.parametrize("stem", ["{speaker:>1500000000}", "{speaker.__class__}", "{speaker!r:>9}", "{speaker[0]}"])
def test_what_a_passport_makes_of_a_name_is_bounded(wavs, terminal, stem):
    folder = wavs("anna_angry.wav")
    names = f'pattern = "(?P<speaker>anna)_(?P<emotion>angry)"\nstem = "{stem}"'
    (folder / "passport.toml").write_text(f'[names]\n{names}\n[emotions]\nangry = "anger"\n')
    code, out, (line,) = terminal("index", "-d", folder, "-o", "x.csv")
    assert (code, out) == (2, "")
    assert "is no group of the pattern, or has a format; expected {emotion}" in line


def test_a_pattern_that_takes_for_ever_is_given_up(wavs, terminal, monkeypatch):
    monkeypatch.setattr(corpora.passport, "MAX_SECONDS", 0.2)
    folder = wavs("a" * 200 + ".wav", "a_angry.wav")
    names = 'pattern = "(?P<speaker>(a|aa)+)_(?P<emotion>angry)"'
    (folder / "passport.toml").write_text(f'[names]\n{names}\n[emotions]\nangry = "anger"\n')
    for words in (("index", "-o", "x.csv"), ("doctor",)):
        code, out, (line,) = terminal(*words, "-d", folder)
        assert (code, out) == (2, "")
        assert "the pattern '(?P<speaker>(a|aa)+)_(?P<emotion>angry)' takes more than 0.2 s for the name 'aaaa" in line


def test_a_passport_s_title_is_not_obeyed(tmp_path, wavs, terminal):
    folder = wavs("anna_angry.wav")
    names = 'pattern = "(?P<speaker>anna)_(?P<emotion>angry)"'
    said = f'title = "evil \\u001b[2J title"\n[names]\n{names}\n[emotions]\nangry = "anger"\n'
    (folder / "passport.toml").write_text(said)
    code, out, _ = terminal("index", "-d", folder, "-o", "x.csv")
    assert code == 0
    assert "evil" in out
    assert not OBEYED.search(out)


def test_a_table_too_large_to_be_one_is_not_read_whole(table, workplace, monkeypatch):
    monkeypatch.setattr(storage, "MAX_CHARACTERS", 999)
    with pytest.raises(ValueError, match="a.csv has more than 999 characters, too many for a table"):
        index.read("a.csv")
    (workplace / "a.csv.gz").write_bytes(gzip.compress(bytes(10**8)))  # a hundred kilobytes
    with pytest.raises(ValueError, match="a.csv.gz has more than 999 characters"):
        storage.read_text(workplace / "a.csv.gz")


def distinct(n):
    """Return so many objects in JSON, none with a key of the others'."""
    return ",".join(f'{{"k{number}": 1}}' for number in range(n))


# What takes gigabytes once it is unfolded: the file's name, its text, and the command that reads it.
UNFOLDING = {
    "many lists": ("a.json.gz", lambda: "[" + "[]," * 20_000_000 + "[]]", ("audit",)),
    "many objects": ("a.json", lambda: f"[{distinct(100_000)}]", ("audit",)),
    "many columns": ("a.csv", lambda: "path" + "," * 4_000_000 + "\na.wav\n", ("audit",)),
    "filled up": ("a.csv", lambda: "path" + "," * 9_000 + "\n" + "a.wav\n" * 2_000_000, ("audit",)),
    "filled up, of your own": (
        "utterances.csv",
        lambda: "path,emotion,speaker" + "," * 9_000 + "\n" * 2_000_000,
        ("index", "-d"),
    ),
}


@pytest.mark.parametrize("name", UNFOLDING)
def test_a_table_that_would_unfold_is_refused_before_it_does(workplace, name):
    file, make, words = UNFOLDING[name]
    with (gzip.open if file.endswith(".gz") else open)(file, "wt") as opened:
        opened.write(make())
    place = "." if "-d" in words else file
    pytest.importorskip("resource")
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2 << 30,) * 2); from serlib import cli; cli.main()"
    done = subprocess.run([sys.executable, "-c", code, *words, place], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(
        rf"serlib: {file} has [\d,]+ (values or so; expected|lines of [\d,]+ columns; expected) at most .*\n",
        done.stderr,
    )


@pytest.mark.parametrize(
    ("columns", "commands"),
    [
        ({"emotion": "anger"}, {"train": "need at least 2 emotions, got 1"}),
        ({"speaker": "emodb/03"}, {"evaluate": "speaker"}),
        ({"part": "train"}, {"train": "no row of the index has the part 'test'"}),
        ({"part": "test"}, {"train": "no row of the index has the part 'train'"}),
        ({"part": ""}, {"train": "part", "evaluate": "part"}),
    ],
)
def test_a_table_of_which_nothing_can_be_learned_is_one_line(table, terminal, columns, commands):
    table[1](**columns)
    for command, message in commands.items():
        code, out, lines = terminal(command, "-p", "a.csv", "--epochs", 1)
        assert (code, out, len(lines)) == (2, "", 1)
        assert message in lines[0]


def test_an_emotion_of_one_utterance_is_learned_and_never_tested(table, terminal):
    good, write = table
    write(emotion=["sadness", *good["emotion"][1:]], part=["train", *good["part"][1:]])
    assert terminal("train", "-p", "a.csv", "--epochs", 1)[0] == 0
    result = evaluate.run(index.read("a.csv"), protocol="speakers", recipe=recipes.get("paper"), epochs=1, n_jobs=1)
    assert 0 <= metrics.uar(result.predictions) < 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,emotion,speaker\n../a.wav,anger,a\n", "line 2: path is '../a.wav'; expected that of a sound file below"),
        ("path,emotion,speaker\n/a.wav,anger,a\n", "line 2: path is '/a.wav'"),
        ("path,emotion,speaker\n\\a.wav,anger,a\n", "line 2: path is '\\\\a.wav'"),
        ("path,emotion,speaker\na.wav,anger\n", "line 2: expected 3 values, as in the first"),
        ("path,emotion,speaker\n" + "a" * 200_000 + ",anger,a\n", "is not a CSV table (field larger than field limit"),
        ("path,emotion,speaker\n", "has no rows; expected one per utterance"),
        ("", "line 1: the column 'path' (or file, filename, file_name, wav) is missing"),
    ],
)
def test_a_table_of_your_own_with_a_mistake_is_one_line(tmp_path, terminal, text, message):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "utterances.csv").write_text(text)
    for command in ("index", "doctor"):
        code, out, lines = terminal(command, "-d", tmp_path / "own")
        assert (code, out, len(lines)) == (2, "", 1)
        assert message in lines[0]


@pytest.mark.parametrize("text", ["[" * 99_999, "a = " + "[" * 99_999, "a\0", "\x1b[2J = 3"])
def test_a_passport_that_is_none_is_one_line(tmp_path, terminal, text):
    (tmp_path / "passport.toml").write_text(text)
    for command in ("index", "doctor"):
        code, out, (line,) = terminal(command, "-d", tmp_path)
        assert (code, out) == (2, "")
        assert "passport.toml is not TOML: " in line or "passport.toml is not text (" in line
        assert not OBEYED.search(line)


@pytest.mark.parametrize(
    "said", ["{", "[]", "[" * 99_999, '{"n_utterances": 3}', '{"n_utterances": "3", "by_emotion": {}}']
)
def test_a_mark_of_synthetic_speech_that_says_nothing_is_one_line(wavs, terminal, said):
    folder = wavs("wav/03a01Fa.wav")
    (folder / "SYNTHETIC.json").write_text(said)
    for command in ("index", "doctor"):
        code, out, (line,) = terminal(command, "-d", folder, "-n", "emodb")
        assert (code, out) == (2, "")
        assert "SYNTHETIC.json is not JSON" in line or "SYNTHETIC.json does not say" in line


def test_audit_names_what_it_cannot_read(tmp_path, terminal):
    for name, text in (
        ("a.json", "[" * 99_999),
        ("a.json", '{"a":' * 9_999),
        ("a.csv", '"'),
        ("a.jsonl", "[" * 99_999),
    ):
        (tmp_path / name).write_text(text)
        code, out, (line,) = terminal("audit", tmp_path / name)
        assert (code, out) == (2, "")
        assert f"{name} cannot be read as" in line
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"path\na.wav\n" * 999)[:-20])
    assert "a.csv.gz is not text in UTF-8" in terminal("audit", tmp_path / "a.csv.gz")[2][0]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.json",
            '{"train": ["03a01Fa.wav"], "train": ["08a01Fa.wav"], "test": ["03a01Wa.wav"]}',
            "a.json cannot be read as JSON ('train' stands there twice)",
        ),
        (
            "a.jsonl",
            '\n{"path": "03a01Fa.wav", "part": "train", "part": "test"}',
            "a.jsonl cannot be read as JSONL (line 2: 'part' stands there twice)",
        ),
        (
            "a.csv",
            "path,split,path\n03a01Fa.wav,train,03a01Wa.wav\n",
            "line 1: the column 'path' is there twice",
        ),
        (
            "a.csv",
            "path,split,Split\n03a01Fa.wav,train,test\n",
            "a.csv: the columns ['split', 'Split'] would both tell the parts; expected one",
        ),
        (  # as R writes it, with the rows' names
            "a.csv",
            '"path","split"\n"1","03a01Fa.wav","train"\n"2","03a01Wa.wav","test"\n',
            "a.csv, line 2: expected 2 values, as in the first; correct it",
        ),
        (
            "a.csv",
            "path,fold\n" + "".join(f"03a01Fa.wav,{fold}\n" for fold in range(501)),
            "there are 501 parts, such as '0', '1', '2'; expected at most 500. Mend the table",
        ),
    ],
)
def test_audit_does_not_guess_what_a_table_means(workplace, terminal, name, text, message):
    (workplace / name).write_text(text)
    code, out, (line,) = terminal("audit", name)
    assert (code, out) == (2, "")
    assert message in line


def test_half_a_character_in_a_split_file_does_no_harm(workplace, terminal):
    (workplace / "a.json").write_text(r'{"\ud800": ["03a01Fa.wav"], "test": ["03a01Wa.wav", "\udfff"]}')
    code, out, lines = terminal("audit", "a.json", "--json")
    assert (code, lines) == (1, [])
    findings = {finding["kind"]: finding for finding in json.loads(out)["findings"]}
    assert findings["speaker"]["against"] == r"\ud800"
    assert findings["unknown"]["examples"] == r"\udfff"
    assert not OBEYED.search(out)


def test_a_table_of_which_nothing_is_known_is_not_called_free_of_leaks(table, terminal):
    table[1](speaker="", content="", sentence="")
    code, out, lines = terminal("audit", "a.csv")
    assert (code, lines) == (0, [])
    for kind in ("speaker", "recording", "take"):
        assert f"{kind}: not looked for among {len(table[0])} of {len(table[0])} utterances" in out
    table[1](corpus="", speaker="")
    code, out, (line,) = terminal("audit", "a.csv")
    assert (code, out) == (2, "")
    assert f"none of the {len(table[0])} utterances is of a corpus" in line


@pytest.mark.parametrize("code", [
    "!!python/object/apply:os.mkdir [ran]",
    "%TAG !p! tag:yaml.org,2002:python/\n---\n!p!object/apply:os.mkdir [ran]",
    "name: a\nusage: !!python/object/apply:os.mkdir [ran]\n",
])  # fmt: skip
def test_a_database_that_would_run_code_is_refused(workplace, code):
    (workplace / "db.yaml").write_text(code)
    with pytest.raises(ValueError, match="db.yaml is no audformat database, or would run code"):
        interchange.from_audformat(workplace)
    assert not (workplace / "ran").exists()


def test_a_pickled_table_is_not_read(table, workplace):
    interchange.to_audformat(table[0], workplace / "db")

    class Hostile:
        def __reduce__(self):
            return os.mkdir, ("ran",)

    (workplace / "db" / "db.emotion.pkl").write_bytes(pickle.dumps(Hostile()))
    with pytest.raises(ValueError, match=r"db.emotion.pkl is pickled, and could run code .*Delete it"):
        interchange.from_audformat(workplace / "db", media=table[0].attrs["folder"])
    text = (workplace / "db" / "db.yaml").read_text()
    (workplace / "db" / "db.yaml").write_text(text.replace("emotion.train:", "../emotion.train:"))
    with pytest.raises(ValueError, match=r"has a table '../emotion.train'; expected letters"):
        interchange.from_audformat(workplace / "db", media=table[0].attrs["folder"])
    assert not (workplace / "ran").exists()


# Bundles


@pytest.fixture
def copied(tmp_path):
    """A copy of the bundle that comes with the package."""
    return shutil.copytree(bundle.SHIPPED / "emodb-paper", tmp_path / "bundle")


def rewritten(folder, **changes):
    """Change what a contract says; ``a__b`` is the field b of the table a."""
    file = folder / "bundle.json"
    contract = json.loads(file.read_text())
    for name, value in changes.items():
        *tables, field = name.split("__")
        place = contract
        for table in tables:
            place = place[table]
        place[field] = value
    file.write_text(json.dumps(contract))


def replaced(folder, content):
    """Put another network into a bundle, and its checksum into the contract: what a stranger would do."""
    (folder / "model.onnx").write_bytes(content)
    rewritten(folder, onnx_sha256=hashlib.sha256(content).hexdigest())


def refusal(terminal, folder, tmp_path):
    """Return the one line in which `predict` refuses a bundle."""
    (tmp_path / "a.wav").write_bytes(GOOD["plain"])
    code, out, lines = terminal("predict", tmp_path / "a.wav", "-m", folder)
    assert (code, out, len(lines)) == (2, "", 1)
    assert not OBEYED.search(lines[0])
    assert re.search(r"(train|make) (the model |it )?again", lines[0])
    return lines[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "bundle.json is not JSON (Expecting value"),
        (b"[" * 99_999, "bundle.json is not JSON (maximum recursion depth exceeded"),
        (b'{"format": ' + b"9" * 9999 + b"}", "bundle.json is not JSON (Exceeds the limit"),
        (b"\xff\xfe{}", "bundle.json is not text in UTF-8"),
        (b"[]", "has a contract that cannot be used: Expected `object`, got `array`"),
        (b'{"format": 3}', "has a contract that cannot be used: Object missing required field `corpora`"),
    ],
)
def test_a_contract_that_is_none_is_one_line(copied, terminal, tmp_path, content, message):
    (copied / "bundle.json").write_bytes(content)
    assert message in refusal(terminal, copied, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "its format is 2, not 3"),
        ({"format": [3]}, "its format is [3], not 3"),
        ({"corpora": []}, "length >= 1 - at `$.corpora`"),
        ({"emotions": "anger"}, "Expected `array`, got `str` - at `$.emotions`"),
        ({"emotions": ["anger"]}, "length >= 2 - at `$.emotions`"),
        ({"emotions": ["anger", "fear"], "golden__probabilities": [0.5, 0.5]}, "(it answers (2, 7) to two recordings)"),
        ({"speakers": [1, 2]}, "got `int` - at `$.speakers[0]`"),
        ({"split": {}}, "missing required field `protocol` - at `$.split`"),
        ({"score__uar": "high"}, "got `str` - at `$.score.uar`"),
        ({"score__accuracy": True}, "got `bool` - at `$.score.accuracy`"),
        ({"score__uar": 10**400}, "$.score.uar"),
        ({"speaker_independent__uar_ci95": [1]}, "length 2, got 1 - at `$.speaker_independent.uar_ci95`"),
        ({"speaker_independent__per_emotion": {"anger": "\x1b[2J"}}, "got `str` - at `$.speaker_independent"),
        ({"golden": {}}, "missing required field `wav_base64` - at `$.golden`"),
        ({"golden__probabilities": [0.1] * 6}, "it has 6 probabilities for 7 emotions"),
        ({"golden__probabilities": [float("nan")] * 7}, "$.golden.probabilities"),
        ({"golden__wav_base64": "?"}, "cannot read its golden input"),
        ({"golden__wav_base64": "AAAA"}, "cannot read its golden input (the recording is not audio"),
        ({"novelty": None}, "got `null` - at `$.novelty`"),
        ({"novelty__threshold": 10**400}, "$.novelty.threshold"),
        ({"novelty__threshold": float("nan")}, "$.novelty.threshold"),
        ({"novelty__numbers_base64": base64.b64encode(b"\xff" * 400).decode()}, "the numbers for 50 features"),
        ({"novelty__n_features": 30}, "does not hold the numbers for 50 features"),
        ({"recipe": "../\x1b[2J"}, "matching regex"),
        ({"features__kind": "os.system"}, "features of the kind 'os.system' are unknown"),
        ({"features__sr": 2**31}, "`int` <= 96000 - at `$.sr`"),
        ({"features__sr": 22050.5}, "`int`, got `float` - at `$.sr`"),
        ({"features__sr": True}, "`int`, got `bool` - at `$.sr`"),
        ({"features__n_fft": 1 << 30}, "`int` <= 65536 - at `$.n_fft`"),
        ({"features__hop_length": 1}, "8,467,200 numbers a second, more than any"),
        ({"features__n_mels": 512, "features__hop_length": 16}, "numbers a second, more than any"),
        ({"features__hop_length": 300}, "fails its self-test"),
        ({"features__amin": float("nan")}, "$.amin"),
        ({"features__n_mfcc": 51}, "does not hold the numbers for 51 features"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"onnx_sha256": "0" * 64}, "model.onnx was altered or damaged"),
    ],
)
def test_a_contract_with_a_strange_field_is_one_line(copied, terminal, tmp_path, changes, message):
    rewritten(copied, **changes)
    assert message in refusal(terminal, copied, tmp_path)


def onnx_bytes(nodes, inputs, outputs, **graph):
    made = onnx.helper.make_graph(nodes, "g", inputs, outputs, **graph)
    opsets = [onnx.helper.make_opsetid("", 13)]
    return onnx.helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()  # as those of ours


def floats(name, *shape):
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def identity(*, n_inputs=1, op="Identity", **graph):
    inputs = [floats(f"x{k}", None, 50, 1) for k in range(n_inputs)]
    names = [value.name for value in inputs] + [value.name for value in graph.get("initializer", ())]
    return onnx_bytes([onnx.helper.make_node(op, names, ["y"])], inputs, [floats("y")], **graph)


def outside():
    """Return a network that reads a number from another file."""
    weight = onnx.TensorProto(name="w", data_type=onnx.TensorProto.FLOAT, dims=[1], data_location=1)
    weight.external_data.add(key="location", value="a.wav")
    return identity(op="Add", initializer=[weight])


def endless():
    """Return a network that repeats nothing for ever."""
    make = onnx.helper.make_node
    go_on = onnx.helper.make_tensor_value_info("go_on", onnx.TensorProto.BOOL, [])
    turn = onnx.helper.make_tensor_value_info("turn", onnx.TensorProto.INT64, [])
    said = onnx.helper.make_tensor_value_info("said", onnx.TensorProto.BOOL, [])
    body = onnx.helper.make_graph([make("Identity", ["go_on"], ["said"])], "body", [turn, go_on], [said])
    nodes = [make("Loop", ["", "yes"], [], body=body), make("Identity", ["x"], ["y"])]
    yes = onnx.numpy_helper.from_array(np.array(True), "yes")
    return onnx_bytes(nodes, [floats("x", None, 50, 1)], [floats("y")], initializer=[yes])


def sum_of(*shapes):
    """Return a network that adds weights of these shapes."""
    weights = [onnx.numpy_helper.from_array(np.ones(shape, np.float32), f"w{k}") for k, shape in enumerate(shapes)]
    nodes = [onnx.helper.make_node("Add", [weight.name for weight in weights], ["y"])]
    return onnx_bytes(nodes, [floats("x", None, 50, 1)], [floats("y")], initializer=weights)


def convolution(**attributes):
    """Return a network of one convolution."""
    weight = onnx.numpy_helper.from_array(np.ones((1, 50, 1), np.float32), "w")
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    return onnx_bytes([node], [floats("x", None, 50, 1)], [floats("y")], initializer=[weight])


def repeated(op, n):
    """Return a network of a layer that is there many times."""
    names = ["x", *(f"y{k}" for k in range(n))]
    nodes = [onnx.helper.make_node(op, names[k : k + 1], names[k + 1 : k + 2]) for k in range(n)]
    return onnx_bytes(nodes, [floats("x", None, 50, 1)], [floats(names[-1])])


def sparse():
    """Return a network with a single number in a matrix of 4 GB."""
    value, place = np.ones(1, np.float32), np.zeros(1, np.int64)
    values = onnx.numpy_helper.from_array(value, "w"), onnx.numpy_helper.from_array(place)
    weight = onnx.helper.make_sparse_tensor(*values, [1 << 15, 1 << 15])
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    return onnx_bytes([node], [floats("x", None, 50, 1)], [floats("y")], sparse_initializer=[weight])


def with_functions(network):
    """Return a network that says itself what a layer of ours does."""
    made = onnx.ModelProto.FromString(network)
    nodes, opsets = [onnx.helper.make_node("Loop", [], [])], [onnx.helper.make_opsetid("", 15)]
    made.functions.append(onnx.helper.make_function("", "Relu", ["x"], ["y"], nodes, opsets))
    return made.SerializeToString()


def of_another_domain(network):
    made = onnx.ModelProto.FromString(network)
    made.graph.node[-1].domain = "com.microsoft"
    return made.SerializeToString()


def branching(network):
    made = onnx.ModelProto.FromString(network)
    made.graph.node[-1].attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g.name = "more"
    return made.SerializeToString()


# A network, and why it is refused.
NETWORKS = {
    "nothing": (lambda network: b"", "No graph was found in the protobuf"),
    "cut off": (cut, "parsing"),
    "a sound": (lambda network: GOOD["plain"], "parsing"),
    "other answers": (lambda network: identity(op="Relu"), "it answers (2, 50, 1) to two recordings"),
    "two inputs": (lambda network: identity(n_inputs=2, op="Add"), "too many values to unpack"),
    "an unknown operator": (lambda network: identity(op="System"), "System"),
    "4 GB of a sum": (lambda network: sum_of((1 << 15, 1), (1, 1 << 15)), "memory"),
    "4 GB of a convolution": (lambda network: convolution(kernel_shape=[1], pads=[500_000_000] * 2), "memory"),
}
STRANGE = {
    "Loop": lambda network: endless(),
    "weights in another file": lambda network: outside(),
    "sparse weights": lambda network: sparse(),
    "too many operators": lambda network: repeated("Relu", 1001),
    "functions": with_functions,
    "Softmax of 'com.microsoft'": of_another_domain,
    "Softmax": branching,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_is_none_is_one_line_though_its_checksum_is_right(copied, terminal, tmp_path, name):
    resource, (make, why) = pytest.importorskip("resource"), NETWORKS[name]
    replaced(copied, make((copied / "model.onnx").read_bytes()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = refusal(terminal, copied, tmp_path)
    assert "model.onnx is not a model of this recipe (" in line
    assert why in line
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < predict.MAX_BYTES >> 10


@pytest.mark.parametrize("name", STRANGE)
def test_a_network_of_other_layers_is_not_tried(copied, terminal, tmp_path, monkeypatch, name):
    replaced(copied, STRANGE[name]((copied / "model.onnx").read_bytes()))
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    assert f"model.onnx is not a model of this recipe (it has {name!r}; expected standard" in refusal(
        terminal, copied, tmp_path
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bundle.json", "bundle.json has more than 67,108,864 characters"),
        ("model.onnx", "model.onnx has more than 268,435,456 bytes; expected a small model"),
    ],
)
def test_of_a_file_of_a_bundle_that_is_too_large_no_more_is_read(copied, terminal, tmp_path, name, message):
    os.truncate(copied / name, 8 << 30)
    (tmp_path / "a.wav").write_bytes(GOOD["plain"])
    code, out, (line,) = terminal("predict", tmp_path / "a.wav", "-m", copied)
    assert (code, out) == (2, "")
    assert message in line


# Archives


def packed(**members):
    """Return a zip archive as bytes; a member is its content, or its mode, its content and perhaps its method."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            mode, content, *method = content if isinstance(content, tuple) else (stat.S_IFREG | 0o644, content)
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = 3, mode << 16
            (member.compress_type,) = method or [zipfile.ZIP_DEFLATED]
            archive.writestr(member, content)
    return file.getvalue()


ARCHIVES = {
    "out of it": ({"../a.wav": b""}, "would write to '../a.wav'; expected paths inside its folder"),
    "out of it, at last": ({"wav/x/../../../a.wav": b""}, "would write to 'wav/x/../../../a.wav'"),
    "absolute": ({"/tmp/a.wav": b""}, "would write to '/tmp/a.wav'"),
    "of Windows": ({"C:\\a.wav": b""}, "would write to 'C:\\\\a.wav'"),
    "link": ({"a.wav": (stat.S_IFLNK | 0o777, b"/etc/passwd")}, "holds a link, 'a.wav'; expected files only"),
    "pipe": ({"a.wav": (stat.S_IFIFO | 0o644, b"")}, "holds a pipe, a device or the like, 'a.wav'"),
    "disk": ({"a.wav": (stat.S_IFBLK | 0o644, b"")}, "holds a pipe, a device or the like, 'a.wav'"),
    "terminal": ({"a.wav": (stat.S_IFCHR | 0o644, b"")}, "holds a pipe, a device or the like, 'a.wav'"),
    "socket": ({"a.wav": (stat.S_IFSOCK | 0o644, b"")}, "holds a pipe, a device or the like, 'a.wav'"),
    "passport": ({"x/passport.toml": b""}, "holds 'x/passport.toml', which only you and serlib write"),
    "bomb": ({"a.wav": bytes(2_000_001)}, "unpacks to 2 files of 2,000,001 bytes; expected at most"),
    "bzip2": (
        {"a.wav": (stat.S_IFREG | 0o644, b"", zipfile.ZIP_BZIP2)},
        "packs 'a.wav' by method 12; expected DEFLATE",
    ),
    "LZMA": ({"a.wav": (stat.S_IFREG | 0o644, b"", zipfile.ZIP_LZMA)}, "packs 'a.wav' by method 14; expected DEFLATE"),
    "many": ({f"{k}.wav": b"" for k in range(20)}, "unpacks to 21 files of 0 bytes; expected at most 20 files"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_that_could_do_harm_leaves_nothing(tmp_path, monkeypatch, name):
    monkeypatch.setattr(download, "MAX_BYTES", 2_000_000)
    monkeypatch.setattr(download, "MAX_MEMBERS", 20)
    members, message = ARCHIVES[name]
    (tmp_path / "a.zip").write_bytes(packed(**{"first.wav": b""} | members))
    with pytest.raises(ValueError, match=re.escape(message)):
        download.unpack(tmp_path / "a.zip", tmp_path / "place" / "unpacked")
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["a.zip", "place", "unpacked"]


def test_an_archive_that_holds_a_name_twice_is_refused(tmp_path):
    (tmp_path / "a.zip").write_bytes(packed(**{"a.wav": b"", "b.wav": b""}).replace(b"b.wav", b"a.wav"))
    with pytest.raises(ValueError, match=r"holds 'a.wav' twice; expected each recording once"):
        download.unpack(tmp_path / "a.zip", tmp_path / "unpacked")


@pytest.mark.parametrize(
    "members", [{"a": b"", "a/b.wav": b""}, {"a/b.wav": b"", "a": b""}, {"a" * 300: b""}, {".": b""}]
)
def test_an_archive_that_cannot_be_laid_out_is_one_line(tmp_path, members):
    (tmp_path / "a.zip").write_bytes(packed(**members))
    with pytest.raises(ValueError, match=r"cannot be unpacked \(.*\); expected a sound zip archive"):
        download.unpack(tmp_path / "a.zip", tmp_path / "unpacked")


def test_a_full_disk_is_not_the_archive_s_fault(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "a.zip").write_bytes(packed(**{"a.wav": b"a"}))
    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(OSError, match="No space left on device"):
        download.unpack(tmp_path / "a.zip", tmp_path / "unpacked")


def test_of_a_member_no_more_is_unpacked_than_it_declares(tmp_path):
    content = bytearray(packed(**{"a.wav": bytes(2_000_000)}))
    at = content.index(b"PK\1\2")  # the directory, where the sizes stand that are believed
    struct.pack_into("<I", content, at + 24, 1000)
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be unpacked"):
        download.unpack(tmp_path / "a.zip", tmp_path / "unpacked")
    assert sum(file.stat().st_size for file in (tmp_path / "unpacked").rglob("*")) <= 1000


# Any sound at all

FORMATS = [
    (container, subtype)
    for container in ("WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3")
    for subtype in soundfile.available_subtypes(container)
    if subtype not in ("G721_32", "GSM610", "NMS_ADPCM_16", "NMS_ADPCM_24", "NMS_ADPCM_32")  # of telephones, mono only
]
RECORDED = {suffix: containers.encoded(NOISE, suffix) for suffix in containers.CONTAINERS}
FEW = {"deadline": None, "derandomize": True, "database": None}


def heard(file):
    """Return a file's features, or None where it is refused in a line."""
    line = ""
    try:
        vector = features.from_file(file, features=PAPER)
    except ValueError as error:
        line = str(error)
    if line:
        assert line.startswith(f"{file} ")
        assert "; expected " in line
        assert "\n" not in line
        return None
    assert vector.shape == PAPER.shape
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    return vector


@hypothesis.given(
    kind=st.sampled_from(FORMATS),
    sr=st.one_of(st.sampled_from([8000, 16000, 44100, 48000]), st.integers(4000, 96_000), st.integers(1, 500_000)),
    channels=st.integers(1, 9),
    n_samples=st.one_of(st.integers(0, 3), st.integers(0, 4000)),
    level_db=st.integers(-400, 400),
    seed=st.integers(0, 9),
)
@hypothesis.settings(max_examples=150, **FEW)
def test_any_sound_has_finite_features_or_is_refused_in_a_line(
    tmp_path_factory, kind, sr, channels, n_samples, level_db, seed
):
    (container, subtype), file = kind, tmp_path_factory.mktemp("any") / "a.wav"
    signal = np.random.default_rng(seed).uniform(-1, 1, (n_samples, channels)) * 10 ** (level_db / 20)
    if subtype not in ("FLOAT", "DOUBLE"):  # libsndfile's writers crash on far larger numbers, and some on high rates
        signal = np.clip(signal, -1, 1)
        hypothesis.assume(sr <= 48000 or container not in ("OGG", "MP3"))
    try:
        soundfile.write(file, signal, sr, format=container, subtype=subtype)
    except (soundfile.LibsndfileError, ValueError):
        hypothesis.reject()  # what libsndfile does not write
    vector = heard(file)
    hypothesis.event("refused" if vector is None else "heard")
    is_speech = audio.RATES_HZ[0] <= sr <= audio.RATES_HZ[1] and channels <= audio.MAX_CHANNELS and n_samples
    if is_speech and level_db <= 0 and subtype.startswith(("PCM", "FLOAT", "DOUBLE")):
        assert vector is not None


@hypothesis.given(
    suffix=st.sampled_from(list(containers.CONTAINERS)),
    at=st.floats(0, 1),
    content=st.binary(min_size=1, max_size=64),
    length=st.one_of(st.none(), st.floats(0, 1)),
)
@hypothesis.settings(max_examples=200, **FEW)
def test_any_damage_to_what_phones_record_is_refused_in_a_line_or_changes_no_more_than_the_sound(
    tmp_path_factory, suffix, at, content, length
):
    file, good = tmp_path_factory.mktemp("any") / "a.wav", RECORDED[suffix]
    start = int(at * len(good))
    damaged = good[:start] + content + good[start + len(content) :]
    file.write_bytes(damaged if length is None else damaged[: int(length * len(good))])
    hypothesis.event("refused" if heard(file) is None else "heard")


@hypothesis.given(
    name=st.sampled_from([name for name in GOOD if len(GOOD[name]) < 100_000]),
    at=st.integers(0, 120),
    content=st.binary(min_size=1, max_size=8),
    length=st.one_of(st.none(), st.integers(0, 4000)),
)
@hypothesis.settings(max_examples=250, **FEW)
def test_any_damage_to_a_header_is_refused_in_a_line_or_changes_no_more_than_the_sound(
    tmp_path_factory, name, at, content, length
):
    file = tmp_path_factory.mktemp("any") / "a.wav"
    good = GOOD[name]
    file.write_bytes((good[:at] + content + good[at + len(content) :])[:length])
    hypothesis.event("refused" if heard(file) is None else "heard")
