import io

import librosa
import numpy as np
import pytest
import soundfile
from conftest import REAL, real

from serlib import audio

SECOND = np.sin(2 * np.pi * 220 * np.arange(16000) / 16000).astype(np.float32) / 2


@pytest.mark.parametrize("sr", [8000, 16000, 22050, 24414, 44100, 48000, 96000])
@pytest.mark.parametrize("channels", [1, 2])
def test_any_rate_and_channels_load_as_librosa_does(tmp_path, sr, channels):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "a.wav", rng.uniform(-0.5, 0.5, (sr + 123, channels)), sr)
    signal = audio.load(tmp_path / "a.wav", 22050)
    expected, _ = librosa.load(tmp_path / "a.wav", sr=22050, mono=True)
    assert signal.dtype == np.float32
    assert signal.shape == expected.shape == (int(np.ceil((sr + 123) * 22050 / sr)),)
    np.testing.assert_allclose(signal, expected, atol=1e-6)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_any_encoding_loads_as_libsndfile_scales_it(tmp_path, subtype):
    ramp = np.linspace(-1, 1, 4001)  # to full scale, both ways
    soundfile.write(tmp_path / "a.wav", np.stack([ramp, ramp / 3], axis=1), 22050, subtype=subtype)
    expected, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    np.testing.assert_array_equal(audio.load(tmp_path / "a.wav", 22050), expected.mean(axis=1))


@pytest.mark.parametrize(("container", "suffix"), [("AIFF", "wav"), ("FLAC", "flac"), ("OGG", "ogg"), ("MP3", "mp3")])
def test_the_content_decides_the_container_not_the_name(tmp_path, container, suffix):
    soundfile.write(tmp_path / f"a.{suffix}", SECOND, 16000, format=container)
    assert audio.header(tmp_path / f"a.{suffix}").sample_rate_hz == 16000
    assert abs(audio.level_db(audio.load(tmp_path / f"a.{suffix}", 22050)) + 9) < 0.5


@pytest.mark.parametrize("top_db", [20, 40])
@pytest.mark.parametrize("before", [0, 700, 9001])
def test_silence_is_trimmed_as_librosa_trims_it(before, top_db):
    rng = np.random.default_rng(1)
    quiet = [rng.normal(0, 1e-4, n).astype(np.float32) for n in (before, 5000)]
    signal = np.concatenate([quiet[0], SECOND * np.linspace(0, 1, 16000, dtype=np.float32), quiet[1]])
    expected, _ = librosa.effects.trim(signal, top_db=top_db)
    np.testing.assert_array_equal(audio.trim(signal, top_db), expected)
    np.testing.assert_array_equal(audio.trim(signal[:100], top_db), signal[:100])
    np.testing.assert_array_equal(audio.trim(np.zeros(5000, np.float32), top_db), np.zeros(5000))


def test_a_file_in_memory_loads_as_one_on_disk(tmp_path):
    audio.write(tmp_path / "a.wav", SECOND, 16000)
    in_memory = io.BytesIO((tmp_path / "a.wav").read_bytes())
    np.testing.assert_array_equal(audio.load(in_memory, 22050), audio.load(tmp_path / "a.wav", 22050))
    with pytest.raises(ValueError, match="the recording is text .* not audio"):
        audio.load(io.BytesIO(b"no sound at all"), 22050)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "is a Git-LFS pointer .*git lfs pull"),
        (b"Test audio content", r"is text \(18 bytes\)"),
        (bytes(range(256)), r"is not audio that can be read \(256 bytes\)"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80>\0\0\0}\0\0\2\0\x10\0data\0\0\0\0", "a header but no samples"),
    ],
)
def test_what_is_not_audio_is_named_for_what_it_is(tmp_path, content, message):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.wav {message}|a.wav has {message}"):
        audio.load(tmp_path / "a.wav", 22050)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(FileNotFoundError, match="a.wav is a folder"):
        audio.load(tmp_path / "a.wav", 22050)
    with pytest.raises(FileNotFoundError, match="b.wav does not exist"):
        audio.load(tmp_path / "b.wav", 22050)


def test_a_phones_recording_is_to_be_converted(tmp_path):
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(99))
    with pytest.raises(ValueError, match=r"a.m4a is MPEG-4 .*; expected WAV, FLAC, .*\. Convert it to wav"):
        audio.load(tmp_path / "a.m4a", 22050)


def test_files_are_listed_without_those_that_macos_adds(tmp_path):
    for name in ("b.wav", "a/c.FLAC", "a/._c.wav", "__MACOSX/d.wav", ".e.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "d.wav").mkdir()  # no recording, but taken for one: whoever reads it is told
    (tmp_path / "again").symlink_to(tmp_path)
    found = [file.relative_to(tmp_path).as_posix() for file in audio.files(tmp_path)]
    assert found == ["a/c.FLAC", "b.wav", "d.wav"]


def test_numbers_that_are_none_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan, 0.0]), 16000, subtype="FLOAT")
    with pytest.raises(ValueError, match="not finite numbers"):
        audio.load(tmp_path / "a.wav", 22050)


def test_an_hour_is_refused_from_its_header(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(3600 * 100, np.int16), 100)
    with pytest.raises(ValueError, match="lasts 3600 s; expected one utterance, at most 120 s"):
        audio.load(tmp_path / "a.wav", 22050)


def test_warnings_say_what_may_spoil_a_prediction():
    assert audio.warnings(SECOND, 16000) == []
    assert audio.warnings(0 * SECOND, 16000) == ["silent: every sample is zero; see whether the microphone is muted"]
    assert audio.warnings(SECOND[:4000], 16000)[0].startswith("short: 0.25 s")
    assert audio.warnings(np.tile(SECOND, 20), 16000)[0].startswith("long: 20.0 s")
    assert audio.warnings(SECOND / 1e4, 16000)[0].startswith("quiet: -89 dB")
    assert audio.warnings(np.sign(SECOND), 16000)[0].startswith("clipped:")


def test_what_is_written_is_read_back(tmp_path):
    audio.write(tmp_path / "new" / "a.wav", SECOND, 16000)
    np.testing.assert_allclose(audio.load(tmp_path / "new" / "a.wav", 16000), SECOND, atol=1 / 32768)
    assert soundfile.info(tmp_path / "new" / "a.wav").subtype == "PCM_16"


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("corpus", "path"),
    [
        ("ravdess", "Actor_01/03-01-02-01-01-02-01.wav"),  # stereo, chunks before the data
        ("tess", "OAF_Fear/OAF_food_fear.wav"),  # 96 kHz
        ("tess", "YAF_angry/YAF_germ_angry.wav"),  # AIFF in .wav
        ("emodb", "wav/14a07Wc.wav"),  # a PAD chunk
        ("crema-d", "AudioWAV/1076_MTI_SAD_XX.wav"),  # silence
    ],
)
def test_odd_originals_load_as_librosa_does(corpus, path):
    file = real(corpus) / path
    expected, _ = librosa.load(file, sr=22050)
    np.testing.assert_allclose(audio.load(file, 22050), expected, atol=1e-6)


@pytest.mark.corpus
def test_odd_files_from_peoples_copies_load_or_are_refused_in_a_line():
    if REAL is None or not (REAL / "oddities").is_dir():
        pytest.skip("no odd files: SERLIB_DATA/oddities is not there")
    refused = []
    for file in sorted((REAL / "oddities").rglob("*.*")):
        if file.is_file():
            try:
                audio.load(file, 22050)
            except ValueError as error:
                refused.append((file, str(error)))
    assert all(line.startswith(f"{file} ") and "\n" not in line for file, line in refused)
    assert {file.parent.name for file, _ in refused} == {
        "AudioWAV",
        "header-only",
        "__MACOSX",
        "text-in-wav",
        "zero-byte",
    }


def tone(hz, *, sr=16000, duration_s=1.0, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(sr * duration_s)) / sr)).astype(np.float32)


@pytest.mark.parametrize("hz", [80, 123.4, 220, 440])
@pytest.mark.parametrize("sr", [16000, 44100])
def test_the_pitch_of_a_tone_is_its_frequency(hz, sr):
    assert audio.pitch_hz(tone(hz, sr=sr), sr) == pytest.approx(hz, rel=0.01)


def test_the_pitch_of_a_voice_is_its_fundamental_even_where_that_is_missing():
    overtones = sum(tone(150 * k, amplitude=0.1) for k in (2, 3, 4, 5))
    assert audio.pitch_hz(overtones, 16000) == pytest.approx(150, rel=0.02)


def test_quiet_noise_around_the_voice_does_not_move_its_pitch():
    noise = np.random.default_rng(0).normal(0, 0.002, 48000).astype(np.float32)
    assert audio.pitch_hz(np.concatenate([noise, tone(200), noise]), 16000) == pytest.approx(200, rel=0.02)


def test_silence_has_no_pitch():
    assert np.isnan(audio.pitch_hz(np.zeros(8000, np.float32), 16000))


def test_a_tone_is_three_db_quieter_than_its_peak():
    assert audio.level_db(tone(200, amplitude=0.1)) == pytest.approx(-20 - 3.01, abs=0.01)
