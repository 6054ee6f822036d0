import json
import os
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import soundfile

from conftest import REAL, real
from serlib import audio, cache, corpora, doctor

EMODB = ("wav/03a01Fa.wav", "wav/03a01Nc.wav", "wav/08a01Wa.wav")
RAVDESS = ("Actor_01/03-01-01-01-01-01-01.wav", "Actor_02/03-01-07-01-01-01-02.wav")


UNCACHED = property(corpora.Passport._published.func)


def publish_as(monkeypatch, manifest):
    """Let every publisher have published this."""
    monkeypatch.setattr(corpora.Passport, "manifest", lambda passport: manifest)
    monkeypatch.setattr(corpora.Passport, "_published", UNCACHED)


@pytest.fixture
def publish(monkeypatch):
    """A function that declares the wav files below a folder to be what the publisher published."""

    def declare(root):
        files = sorted(root.rglob("*.wav"))
        rows = [(file.relative_to(root).as_posix(), file.stat().st_size, cache.content_hash(file)) for file in files]
        manifest = pd.DataFrame(rows, columns=["path", "bytes", "sha256"])
        publish_as(monkeypatch, manifest)
        return root

    return declare


@pytest.fixture
def emodb(wavs, publish):
    """A folder that holds all of an EMODB of three utterances."""
    return publish(wavs(*EMODB))


@pytest.fixture
def ravdess(wavs, publish):
    """A folder that holds all of a RAVDESS of two utterances."""
    return publish(wavs(*RAVDESS, sr=48000))


def copy(root, path, to):
    (root / to).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / path, root / to)


def found(report):
    """List the findings of a report as (kind, path)."""
    return [(finding.kind, finding.path) for finding in report.findings]


def kinds(report):
    return Counter(finding.kind for finding in report.findings)


def overwrite(path, at=100):
    """Change a byte of a file, and not its size."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


# In order


def test_lossy_copies_beside_the_wav_files_are_only_noted(emodb):
    audio.write(emodb / "flac" / "03a01Fa.flac", np.zeros(800, np.float32), 16000)
    report = doctor.compare_copy(emodb, "emodb")
    assert report.ok
    assert found(report) == [("medium", "flac/03a01Fa.flac")]


def test_a_copy_that_is_as_published_is_in_order(emodb):
    report = doctor.compare_copy(emodb)
    assert report.to_dict() == {"corpus": "emodb", "ok": True, "n_found": 3, "n_expected": 3, "findings": []}
    assert report.verdict == "emodb: in order; 3 of 3 utterances, each byte as published"
    assert report.table().empty


def test_quick_says_that_contents_were_not_compared(emodb):
    report = doctor.compare_copy(emodb, quick=True)
    assert report.verdict == "emodb: in order; 3 of 3 utterances, by their sizes (contents not compared)"


def test_another_layout_is_in_order_too(ravdess, tmp_path):
    flat = tmp_path / "flat"
    for path in RAVDESS:
        copy(ravdess.parent, f"corpus/{path}", flat / path.split("/")[1])
    assert doctor.compare_copy(flat).ok


def test_nothing_is_written_into_the_folder(emodb):
    overwrite(emodb / EMODB[0])
    copy(emodb, EMODB[1], "wav/03a01Nc (2).wav")

    def state():
        return {path: (path.stat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in emodb.rglob("*")}

    before = state()
    doctor.compare_copy(emodb)
    assert state() == before


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder; expected the one that holds a corpus"):
        doctor.compare_copy(tmp_path / "nowhere", "emodb")


# Missing, extra, renamed, altered, doubled


def test_a_missing_file_is_named_by_its_published_path(emodb):
    (emodb / EMODB[1]).unlink()
    report = doctor.compare_copy(emodb)
    (finding,) = report.findings
    assert finding == doctor.Finding(
        "missing",
        "wav/03a01Nc.wav",
        "no such file",
        "the utterance 03a01Nc",
        "run 'python -m serlib download emodb', or go on with a part of the corpus, knowingly",
    )
    assert report.verdict == "emodb: not in order; 2 of 3 utterances are there, 1 finding"


def test_an_utterance_that_was_never_published_is_extra_and_counts_for_nothing(emodb, wavs):
    wavs("wav/03a01Ff.wav")
    report = doctor.compare_copy(emodb)
    assert found(report) == [("extra", "wav/03a01Ff.wav")]
    assert (report.ok, report.n_found, report.n_expected) == (False, 3, 3)


def test_an_extra_utterance_in_its_speakers_folder_is_not_misplaced(ravdess, wavs):
    wavs("Actor_01/03-01-01-02-01-01-01.wav", sr=48000)  # neutral has no strong intensity
    assert found(doctor.compare_copy(ravdess)) == [("extra", "Actor_01/03-01-01-02-01-01-01.wav")]


def test_a_renamed_file_is_known_by_its_content(emodb):
    (emodb / EMODB[0]).rename(emodb / "wav" / "first.wav")
    report = doctor.compare_copy(emodb)
    (finding,) = report.findings
    assert (finding.kind, finding.path) == ("renamed", "wav/first.wav")
    assert (finding.found, finding.expected) == ("a copy of 03a01Fa", "one file, wav/03a01Fa.wav")
    assert sorted(found(doctor.compare_copy(emodb, quick=True))) == [
        ("missing", EMODB[0]),
        ("unknown", "wav/first.wav"),
    ]


def test_a_second_copy_under_any_name_is_doubled_not_renamed(emodb):
    copy(emodb, EMODB[0], "backup/first.wav")
    assert found(doctor.compare_copy(emodb)) == [("doubled", "backup/first.wav")]


@pytest.mark.parametrize(
    "mark", [" - Copy", " - Copy (2)", " (2)", "(1)", " copy", " copy 3", "_copy", "_GE0uHjJ", "_GE0uHjJ - Copy"]
)
@pytest.mark.parametrize("quick", [False, True])
def test_what_programs_add_to_names_is_understood(emodb, mark, quick):
    path = f"wav/03a01Fa{mark}.wav"
    (emodb / EMODB[0]).rename(emodb / path)
    assert found(doctor.compare_copy(emodb, quick=quick)) == [("renamed", path)]
    copy(emodb, path, EMODB[0])
    assert found(doctor.compare_copy(emodb, quick=quick)) == [("doubled", path)]


def test_of_two_copies_under_strange_names_one_is_to_be_renamed(emodb):
    copy(emodb, EMODB[0], "wav/03a01Fa (2).wav")
    (emodb / EMODB[0]).rename(emodb / "wav" / "03a01Fa (3).wav")
    assert found(doctor.compare_copy(emodb)) == [("renamed", "wav/03a01Fa (2).wav"), ("doubled", "wav/03a01Fa (3).wav")]


def test_the_only_good_recording_is_never_called_a_copy_to_delete(emodb):
    copy(emodb, EMODB[0], "wav/03a01Fa (2).wav")
    overwrite(emodb / EMODB[0])
    assert found(doctor.compare_copy(emodb)) == [("altered", EMODB[0]), ("renamed", "wav/03a01Fa (2).wav")]
    (emodb / EMODB[0]).rename(emodb / "wav" / "03a01Fa (1).wav")
    assert found(doctor.compare_copy(emodb)) == [("altered", "wav/03a01Fa (1).wav"), ("renamed", "wav/03a01Fa (2).wav")]
    (emodb / "wav" / "03a01Fa.wav").write_bytes(b"")
    assert sorted(found(doctor.compare_copy(emodb)))[-1] == ("renamed", "wav/03a01Fa (2).wav")


def test_a_copy_with_another_content_is_altered(emodb, wavs):
    wavs("wav/03a01Fa (2).wav")
    assert found(doctor.compare_copy(emodb)) == [("altered", "wav/03a01Fa (2).wav")]


def test_a_copy_of_what_was_never_published_is_extra(emodb, wavs):
    wavs("wav/03a01Ff (2).wav")
    assert found(doctor.compare_copy(emodb)) == [("extra", "wav/03a01Ff (2).wav")]


def test_another_recording_under_a_published_name_is_altered(emodb, wavs):
    audio.write(emodb / EMODB[0], np.full(2205, 0.1, np.float32), 22050)
    size = 44 + 2 * 800  # a WAV header, and 50 ms of 16-bit samples at 16 kHz
    for quick in (False, True):
        altered, rate = doctor.compare_copy(emodb, quick=quick).findings
        assert (altered.kind, altered.path) == ("altered", EMODB[0])
        assert (altered.found, altered.expected) == ("4,454 bytes, 0.10 s at 22,050 Hz", f"{size:,} bytes")
        assert rate.kind == "rate"


def test_other_bytes_of_the_same_number_are_noticed_unless_quick(emodb):
    sha256 = cache.content_hash(emodb / EMODB[2])
    overwrite(emodb / EMODB[2])
    (finding,) = doctor.compare_copy(emodb).findings
    assert (finding.kind, finding.path) == ("altered", EMODB[2])
    assert finding.found == f"as many bytes, but {cache.content_hash(emodb / EMODB[2])[:8]}..."
    assert finding.expected == f"the content whose SHA-256 begins with {sha256[:8]}"
    assert doctor.compare_copy(emodb, quick=True).ok


@pytest.mark.parametrize("quick", [False, True])
def test_two_trees_of_one_corpus_are_doubled(ravdess, quick):
    for path in RAVDESS:
        copy(ravdess, path, f"audio_speech_actors_01-24/{path}")
    report = doctor.compare_copy(ravdess, quick=quick)
    assert found(report) == [("doubled", f"audio_speech_actors_01-24/{path}") for path in RAVDESS]
    assert report.findings[0].found == "03-01-01-01-01-01-01 again, as Actor_01/03-01-01-01-01-01-01.wav"
    assert not report.ok


@pytest.mark.parametrize("altered", ["Actor_01", "audio/Actor_01"])
@pytest.mark.parametrize("quick", [False, True])
def test_of_two_that_differ_the_published_one_is_chosen(ravdess, altered, quick):
    name = RAVDESS[0].split("/")[1]
    copy(ravdess, RAVDESS[0], f"audio/{RAVDESS[0]}")
    with open(ravdess / altered / name, "ab") as file:
        file.write(b"\0\0")
    (finding,) = doctor.compare_copy(ravdess, quick=quick).findings
    assert (finding.kind, finding.path) == ("altered", f"{altered}/{name}")
    good = {"Actor_01": "audio/Actor_01", "audio/Actor_01": "Actor_01"}[altered]
    assert finding.found == f"03-01-01-01-01-01-01 again, with another content than {good}/{name}"


# What is no recording


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("lfs-pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "is a Git-LFS pointer"),
        ("empty", b"", "is empty (0 bytes), not audio"),
        ("text", b"<html>404 Not found</html>", "is text (26 bytes), not audio"),
        ("unreadable", b"RIFF\xff\0\0\0" + b"\7" * 40, "is not audio that can be read (48 bytes)"),
    ],
)
def test_what_is_no_recording_is_called_what_it_is_and_not_missing(emodb, kind, content, message):
    (emodb / EMODB[0]).write_bytes(content)
    report = doctor.compare_copy(emodb)
    assert found(report) == [(kind, EMODB[0])]
    assert report.findings[0].found.startswith(message)
    assert (report.n_found, report.ok) == (2, False)


def test_a_header_without_samples_and_a_whole_session_are_no_utterances(emodb):
    soundfile.write(emodb / EMODB[0], np.zeros(0), 16000)
    soundfile.write(emodb / EMODB[1], np.zeros(121 * 8000), 8000, subtype="ALAW")
    report = doctor.compare_copy(emodb)
    assert found(report) == [("no-samples", EMODB[0]), ("too-long", EMODB[1])]
    assert report.findings[1].found == "lasts 121 s"


def test_a_folder_or_a_dead_link_with_a_sounds_name_is_reported(emodb):
    (emodb / EMODB[0]).unlink()
    (emodb / EMODB[0]).mkdir()
    (emodb / EMODB[1]).unlink()
    (emodb / EMODB[1]).symlink_to("nowhere.wav")
    assert found(doctor.compare_copy(emodb)) == [("gone", EMODB[0]), ("gone", EMODB[1])]


def test_what_macos_leaves_is_reported_and_taken_for_nothing_else(emodb):
    for path in ("__MACOSX/._03a01Fa.wav", "wav/._03a01Nc.wav", "__MACOSX/wav/03a01Fa.wav"):
        copy(emodb, EMODB[0], path)
    (emodb / "wav" / ".DS_Store").write_bytes(b"\0")
    report = doctor.compare_copy(emodb)
    assert found(report) == [
        ("macos", "__MACOSX/._03a01Fa.wav"),
        ("macos", "__MACOSX/wav/03a01Fa.wav"),
        ("macos", "wav/._03a01Nc.wav"),
    ]
    assert report.n_found == 3


# Format


@pytest.mark.parametrize(("container", "suffix"), [("MP3", ".mp3"), ("FLAC", ".flac")])
def test_another_container_under_a_published_name_is_reported_and_not_missing(emodb, container, suffix):
    (emodb / EMODB[0]).unlink()
    soundfile.write(emodb / f"wav/03a01Fa{suffix}", np.random.default_rng(0).uniform(-0.1, 0.1, 16000), 16000)
    report = doctor.compare_copy(emodb)
    (finding,) = report.findings
    assert (finding.kind, finding.path) == ("container", f"wav/03a01Fa{suffix}")
    assert (finding.found, finding.expected) == (f"{container} under the name of 03a01Fa", "WAV")
    assert report.n_found == 2


def test_aiff_inside_wav_other_channels_and_rates_are_notes_only(tmp_path, publish):
    root = tmp_path / "tess" / "YAF_angry"
    root.mkdir(parents=True)
    signal = np.random.default_rng(0).uniform(-0.1, 0.1, (2400, 2))
    soundfile.write(root / "YAF_germ_angry.wav", signal[:, 0], 24414, format="AIFF")
    soundfile.write(root / "YAF_back_angry.wav", signal, 24414)
    soundfile.write(root / "YAF_bar_angry.wav", signal[:, 0], 96000)
    report = doctor.compare_copy(publish(root.parent))
    assert report.ok
    assert [(f.kind, f.path, f.found, f.expected) for f in report.findings] == [
        ("channels", "YAF_angry/YAF_back_angry.wav", "2 channels", "1"),
        ("rate", "YAF_angry/YAF_bar_angry.wav", "96,000 Hz", "24,414 Hz"),
        ("aiff", "YAF_angry/YAF_germ_angry.wav", "AIFF inside .wav", "WAV"),
    ]


def test_silence_is_reported_where_there_is_nothing_to_compare_with(wavs):
    root = wavs("female/F01A01.wav", "female/F01A02.wav", sr=44100)
    audio.write(root / "female" / "F01A01.wav", np.zeros(4410, np.float32), 44100)
    findings = [finding for finding in doctor.compare_copy(root, "shemo").findings if finding.kind != "missing"]
    assert [(f.kind, f.path, f.found) for f in findings] == [("silent", "female/F01A01.wav", "every sample is zero")]
    assert not any(finding.kind == "silent" for finding in doctor.compare_copy(root, "shemo", quick=True).findings)


def test_silence_as_published_is_the_publishers(emodb, publish):
    audio.write(emodb / EMODB[0], np.zeros(800, np.float32), 16000)
    assert doctor.compare_copy(publish(emodb)).ok


def test_damage_inside_is_reported_where_there_is_nothing_to_compare_with(tmp_path):
    (tmp_path / "passport.toml").write_text(
        "[names]\nsuffixes = ['.flac']\npattern = '(?P<speaker>s)(?P<emotion>a)'\n[emotions]\na = 'anger'\n"
    )
    soundfile.write(tmp_path / "sa.flac", np.random.default_rng(0).uniform(-0.1, 0.1, 16000), 16000)
    assert doctor.compare_copy(tmp_path).ok
    content = (tmp_path / "sa.flac").read_bytes()
    (tmp_path / "sa.flac").write_bytes(content[: len(content) // 2])
    (finding,) = doctor.compare_copy(tmp_path).findings
    assert (finding.kind, finding.path) == ("unreadable", "sa.flac")
    assert finding.found.startswith("is damaged inside, after")
    channels = np.random.default_rng(0).uniform(-0.1, 0.1, 16000)
    soundfile.write(tmp_path / "sa.flac", np.stack([channels, -channels], axis=1), 16000)
    (finding,) = doctor.compare_copy(tmp_path).findings
    assert finding.found == "has channels that cancel each other when they are mixed to mono"


# Places


def test_a_file_in_another_speakers_folder_is_misplaced(ravdess):
    (ravdess / RAVDESS[0]).rename(ravdess / "Actor_02" / "03-01-01-01-01-01-01.wav")
    (finding,) = doctor.compare_copy(ravdess).findings
    assert (finding.kind, finding.path) == ("misplaced", "Actor_02/03-01-01-01-01-01-01.wav")
    assert (finding.found, finding.expected) == ("03-01-01-01-01-01-01 in Actor_02", "the folder Actor_01")


@pytest.mark.parametrize("folder", ["ACTOR_01", "somewhere/Actor_01", "ravdess/speech/all", "neutral", "01_Neatral"])
def test_other_folders_than_the_published_are_no_fault(ravdess, folder):
    copy(ravdess, RAVDESS[0], f"{folder}/03-01-01-01-01-01-01.wav")
    (ravdess / RAVDESS[0]).unlink()
    assert doctor.compare_copy(ravdess).ok


@pytest.mark.parametrize(
    ("corpus", "sr", "path", "emotion", "named"),
    [
        ("ravdess", 48000, "07_disgust/03-01-01-01-01-01-10.wav", "neutral", "disgust"),
        ("savee", 44100, "angry/DC_d01.wav", "disgust", "anger"),
        ("emodb", 16000, "train/female/Sad/16a01Lb.wav", "boredom", "sadness"),
        ("crema-d", 16000, "HAP/1001_DFA_ANG_XX.wav", "anger", "happiness"),
    ],
)
def test_a_folder_that_names_another_emotion_contradicts(wavs, publish, corpus, sr, path, emotion, named):
    report = doctor.compare_copy(publish(wavs(path, sr=sr)))
    (finding,) = report.findings
    stem = corpora.get(corpus).parse(path).stem
    assert (report.corpus, finding.kind, finding.path) == (corpus, "contradiction", path)
    assert finding.found == f"{stem}, {emotion} by its name, in a folder of {named}"
    assert finding.expected == f"a folder of {emotion}"


def test_folders_that_agree_or_name_several_emotions_do_not_contradict(wavs, publish):
    paths = ("anger/DC_a01.wav", "happy and sad/DC_d01.wav", "TESS angry/neutral/DC_n01.wav")
    assert doctor.compare_copy(publish(wavs(*paths, sr=44100))).ok


# Names


def test_songs_and_the_sound_of_videos_are_called_so(ravdess, wavs):
    wavs("Actor_01/03-02-01-01-01-01-01.wav", "Actor_01/01-01-01-01-01-01-01_audio.wav", sr=48000)
    song, video = doctor.compare_copy(ravdess).findings[::-1]
    assert (song.kind, song.found, song.expected) == ("song", "a song", "speech (03-01-...)")
    assert (video.kind, video.expected) == ("video-sound", "03-01-...")
    assert video.found == "sound of a video, the same takes as the audio-only files"


def test_strange_names_are_unknown(emodb, wavs):
    wavs("wav/speech.wav", "wav/16B10LB.wav")
    (emodb / "wav" / "notes.txt").write_text("no sound file")
    first, second = doctor.compare_copy(emodb).findings
    assert (first.kind, first.path, second.path) == ("unknown", "wav/16B10LB.wav", "wav/speech.wav")
    assert (second.found, second.expected) == ("the name speech.wav", "names like 03a01Fa.wav")


def test_known_defects_are_notes_only(wavs, publish):
    root = wavs("AudioWAV/1001_DFA_ANG_XX.wav")
    audio.write(root / "AudioWAV" / "1076_MTI_SAD_XX.wav", np.zeros(800, np.float32), 16000)
    report = doctor.compare_copy(publish(root))
    (finding,) = report.findings
    assert (finding.kind, finding.found) == ("known defect", "silent: every sample is zero")
    assert report.ok


# Synthetic corpora


@pytest.mark.parametrize("corpus", corpora.NAMES)
def test_each_corpus_is_guessed_from_its_names_and_its_synthetic_copy_is_in_order(made, corpus, tmp_path):
    shutil.copytree(made[corpus], tmp_path / "anything")
    report = doctor.compare_copy(tmp_path / "anything", quick=True)
    assert (report.corpus, report.ok, report.findings) == (corpus, True, ())
    n = json.loads((made[corpus] / "SYNTHETIC.json").read_text())["n_utterances"]
    assert report.verdict == f"{corpus}: in order; {n} of {n} synthetic utterances"


def test_a_synthetic_corpus_that_lacks_a_file_is_to_be_made_again(made, tmp_path):
    root = shutil.copytree(made["savee"], tmp_path / "copy")
    sorted(root.rglob("a*.wav"))[0].unlink()
    n = json.loads((root / "SYNTHETIC.json").read_text())["by_emotion"]["anger"]
    report = doctor.compare_copy(root)
    (finding,) = report.findings
    assert finding.kind == "count"
    assert (finding.found, finding.expected) == (f"{n - 1} utterances of anger", f"{n}, as declared")
    assert finding.next.startswith("make the synthetic corpus again")
    assert report.verdict == "savee: not in order; 62 of 63 synthetic utterances are there, 1 finding"


# Guessing


LOOK_ALIKES = {
    "emoUERJ": "m03s08.wav",
    "recorded at home": "1093_ARK_HAP_HI.wav",
    "levels in words": "1094_ARW_HAPPY_MID.wav",
    "a ninth emotion": "03-01-09-01-01-01-01.wav",
    "RAVDESS with a word": "03-01-02-01-01-01-01_calm.wav",
    "SAVEE without speakers": "a01.wav",
    "labels in words": "01_01_01_01_dogs-sitting_angry.wav",
}


@pytest.mark.parametrize("name", LOOK_ALIKES.values(), ids=list(LOOK_ALIKES))
def test_look_alikes_are_not_guessed_at(wavs, name):
    message = rf"cannot tell which corpus this is from its 1 sound files \('{name}'\); say so with -n NAME \(emovo, "
    with pytest.raises(ValueError, match=message):
        doctor.compare_copy(wavs(f"sounds/{name}"))


def test_an_empty_folder_is_what_it_is_called(tmp_path):
    for name in ("ShEMO", "anything"):
        (tmp_path / name).mkdir()
    report = doctor.compare_copy(tmp_path / "ShEMO")
    assert (report.corpus, kinds(report)) == ("shemo", {"missing": 3000})
    with pytest.raises(ValueError, match=r"from its 0 sound files \(none at all\)"):
        doctor.compare_copy(tmp_path / "anything")


def test_names_outweigh_what_the_folder_is_called(wavs, tmp_path):
    assert doctor.compare_copy(wavs(*EMODB, root=tmp_path / "RAVDESS"), quick=True).corpus == "emodb"


def test_a_folder_is_guessed_though_all_names_are_marked_or_all_files_pointers(tmp_path, wavs):
    wavs("03-01-01-01-01-01-01 - Copy.wav", root=tmp_path / "copies")
    assert doctor.compare_copy(tmp_path / "copies").corpus == "ravdess"
    (tmp_path / "pointers").mkdir()
    (tmp_path / "pointers" / "1001_DFA_ANG_XX.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert doctor.compare_copy(tmp_path / "pointers").corpus == "crema-d"


def test_a_corpus_may_be_named_as_people_write_it(emodb):
    assert doctor.compare_copy(str(emodb), "EMO-DB").corpus == "emodb"
    with pytest.raises(ValueError, match="corpus 'iemocap' is unknown; use one of emovo"):
        doctor.compare_copy(emodb, "iemocap")


# The report


def test_shemo_is_in_order_by_its_names_only(tmp_path, wavs, monkeypatch):
    manifest = pd.DataFrame({"path": ["female/F01A01.wav"]})
    publish_as(monkeypatch, manifest)
    report = doctor.compare_copy(wavs("female/F01A01.wav", sr=44100))
    assert report.verdict == "shemo: in order; 1 of 1 utterances, by their names (no checksums were published)"


def test_findings_are_summed_up_by_kind_the_most_urgent_first(emodb, wavs):
    (emodb / EMODB[0]).unlink()
    (emodb / EMODB[1]).write_bytes(b"")
    wavs(EMODB[2], sr=8000)
    wavs("wav/x.wav", "wav/y.wav")
    report = doctor.compare_copy(emodb)
    table = report.table()
    assert list(table) == ["n", "first", "found", "expected", "next"]
    assert table["n"].to_dict() == {"missing": 1, "empty": 1, "altered": 1, "unknown": 2, "rate": 1}
    assert list(table.index) == ["missing", "empty", "altered", "unknown", "rate"]
    assert table.loc["unknown", "first"] == "wav/x.wav"
    assert table.loc["altered", "next"].startswith("replace it by the published file")
    assert report.verdict == "emodb: not in order; 1 of 3 utterances are there, 5 findings"


def test_a_report_is_plain_data(emodb):
    (emodb / EMODB[0]).unlink()
    report = doctor.compare_copy(emodb).to_dict()
    assert list(report) == ["corpus", "ok", "n_found", "n_expected", "findings"]
    assert list(report["findings"][0]) == ["kind", "path", "found", "expected", "next"]
    assert (report["ok"], report["n_found"], report["n_expected"]) == (False, 2, 3)
    assert json.loads(json.dumps(report)) == report


# Real audio


@pytest.mark.corpus
def test_real_emodb_is_in_order():
    report = doctor.compare_copy(real("emodb"))
    assert report.to_dict() == {"corpus": "emodb", "ok": True, "n_found": 535, "n_expected": 535, "findings": []}


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("corpus", "n", "expected"),
    [
        ("ravdess", 300, {"missing": 1140, "known defect": 1, "channels": 5}),
        ("crema-d", 485, {"missing": 6957, "known defect": 7}),
        ("tess", 196, {"missing": 2604, "rate": 1, "aiff": 2}),
    ],
)
def test_real_parts_lack_the_rest_and_nothing_else_is_wrong(corpus, n, expected):
    report = doctor.compare_copy(real(corpus))
    assert (report.corpus, report.n_found, kinds(report)) == (corpus, n, expected)


ODDITIES = {  # sizes, headers and hashes were looked at one by one
    ("crema-mp3", None): {"missing": 7440, "container": 2},
    ("git-lfs-pointers", None): {"missing": 7436, "lfs-pointer": 6},
    ("header-only", "emodb"): {"missing": 535, "no-samples": 1},
    ("macosx", None): {"missing": 530, "macos": 5},
    ("ravdess-altered-or-stray", None): {"missing": 1431, "altered": 9, "rate": 9, "misplaced": 1},
    ("ravdess-av-extracted", None): {"missing": 1440, "video-sound": 2},
    ("ravdess-copy-suffix", None): {"missing": 1439, "renamed": 1, "doubled": 1},
    ("tess-overwritten-float32", None): {"missing": 2798, "altered": 2, "rate": 2},
    ("text-in-wav", "emodb"): {"missing": 535, "text": 1},
    ("zero-byte", "emodb"): {"missing": 535, "empty": 1},
}


def oddity(name):
    if REAL is None or not (REAL / "oddities" / name).is_dir():
        pytest.skip("no real audio: no folder 'oddities' under SERLIB_DATA")
    return REAL / "oddities" / name


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "corpus"), ODDITIES)
def test_real_oddities_are_called_what_they_are(name, corpus):
    report = doctor.compare_copy(oddity(name), corpus)
    assert kinds(report) == ODDITIES[name, corpus]
    assert not report.ok


@pytest.mark.corpus
def test_real_altered_files_are_described_as_they_are():
    findings = {(f.kind, f.path): f for f in doctor.compare_copy(oddity("tess-overwritten-float32")).findings}
    altered = findings["altered", "OAF_back_angry.wav"]
    assert (altered.found, altered.expected) == ("882,058 bytes, 5.00 s at 44,100 Hz", "75,204 bytes")
    (stray,) = (f for f in doctor.compare_copy(oddity("ravdess-altered-or-stray")).findings if f.kind == "misplaced")
    assert stray.path.endswith("Actor_05/03-01-05-01-01-01-02.wav")
    assert (stray.found, stray.expected) == ("03-01-05-01-01-01-02 in Actor_05", "the folder Actor_02")


@pytest.mark.corpus
def test_kaggles_two_trees_of_real_ravdess_are_doubled_file_by_file(tmp_path):
    for tree in ("", "audio_speech_actors_01-24"):
        for folder in sorted(real("ravdess").glob("Actor_*")):
            shutil.copytree(folder, tmp_path / tree / folder.name, copy_function=os.symlink)
    report = doctor.compare_copy(tmp_path)
    assert (report.corpus, report.n_found) == ("ravdess", 300)
    assert kinds(report) == {"missing": 1140, "doubled": 300, "known defect": 1, "channels": 5}
    assert all(f.path.startswith("audio_speech") for f in report.findings if f.kind == "doubled")
