import io

import av
import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile

import containers
from conftest import REAL, real
from serlib import audio, synthetic

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


SPOKEN = synthetic.speech("anger", "anyone", gender="male", sr=containers.SR)


def likeness(signal, other):
    """Return the largest correlation of two signals, wherever the one begins in the other: encoders delay."""
    product = scipy.signal.correlate(signal, other)
    return np.abs(product).max() / np.sqrt(np.sum(signal**2) * np.sum(other**2))


@pytest.mark.parametrize("suffix", containers.CONTAINERS)
def test_what_phones_and_browsers_record_is_heard(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    file.write_bytes(containers.encoded(SPOKEN, suffix))
    head, signal = audio.header(file), audio.load(file, 8000)
    assert head.sample_rate_hz == containers.CONTAINERS[suffix][-1]
    assert head.channels == 1
    assert len(signal) == np.ceil(head.n_frames * 8000 / head.sample_rate_hz)
    assert -0.05 < head.duration_s - len(SPOKEN) / containers.SR < 0.1
    assert likeness(signal, audio.resample(SPOKEN, containers.SR, 8000)) > (0.8 if "amr" in file.suffix else 0.9)
    np.testing.assert_array_equal(audio.load(io.BytesIO(file.read_bytes()), 8000), signal)


def test_the_container_is_named_and_its_name_does_not_matter(tmp_path):
    (tmp_path / "a.wav").write_bytes(containers.encoded(SPOKEN, "webm"))
    assert audio.header(tmp_path / "a.wav").container == "WebM or Matroska"


def test_a_browser_that_does_not_know_the_length_is_heard():
    file = io.BytesIO()
    with av.open(file, "w", format="webm", options={"live": "1"}) as output:
        stream = output.add_stream("libopus", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.int16(SPOKEN * 32767)[None], format="s16", layout="mono")
        frame.sample_rate = 48000
        output.mux([*stream.encode(frame), *stream.encode(None)])
    assert av.open(io.BytesIO(file.getvalue())).duration is None
    assert likeness(audio.load(file, 48000), SPOKEN) > 0.9


def test_channels_of_a_phone_are_mixed_down_and_cancelled_ones_refused():
    both = np.stack([SPOKEN, 0.5 * SPOKEN])
    mixed = audio.load(io.BytesIO(containers.encoded(both, "alac.m4a", layout="stereo")), 48000)
    np.testing.assert_allclose(mixed[: len(SPOKEN)], 0.75 * SPOKEN[: len(mixed)], atol=0.02)
    with pytest.raises(ValueError, match="cancel each other"):
        audio.load(io.BytesIO(containers.encoded(np.stack([SPOKEN, -SPOKEN]), "caf", layout="stereo")), 48000)


@pytest.mark.parametrize("suffix", ["wav", "m4a", "webm", "amr"])
@pytest.mark.parametrize("sr", [8000, 16000, 44100])
def test_a_stream_is_what_is_loaded(tmp_path, suffix, sr):
    signal, file = np.tile(SPOKEN, 12), tmp_path / "a.wav"  # two blocks and more
    if suffix == "wav":
        soundfile.write(file, np.stack([signal, 0.2 * signal], axis=1), containers.SR)
    else:
        file.write_bytes(containers.encoded(signal, suffix))
    streamed, loaded = np.concatenate(list(audio.stream(file, None, sr))), audio.load(file, sr)
    assert abs(len(streamed) - len(loaded)) <= 1
    np.testing.assert_allclose(streamed[: len(loaded)], loaded[: len(streamed)], atol=1e-6)
    for start_s, end_s in ((0, 0.5), (6.5, 7.25), (8, 1e6), (1e6, 2e6)):
        part = audio.excerpt(file, None, sr, start_s, end_s)
        np.testing.assert_array_equal(part, streamed[round(start_s * sr) : round(end_s * sr)])


def test_what_is_damaged_far_inside_is_streamed_until_there(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.tile(SECOND, 30), 16000)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: len(content) // 2])
    read = []
    with pytest.raises(ValueError, match="a.flac is damaged inside, after [0-9,]+ of 480,000 samples"):
        read.extend(audio.stream(tmp_path / "a.flac", None, 16000))
    assert 100_000 < sum(map(len, read)) < 300_000


def test_an_envelope_holds_every_peak(tmp_path):
    signal = np.zeros(16000 * 7 + 123, np.float32)
    signal[[16000, 48000]] = 0.5, -0.5
    low, high = audio.envelope(signal, 16000, step_s=0.1).T
    assert len(low) == 71
    assert (low.argmin(), high.argmax()) == (30, 10)


def without_sound():
    """Return a video of nothing as the bytes of an MP4 file."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        stream = output.add_stream("mpeg4", rate=10, width=16, height=16, pix_fmt="yuv420p")
        output.mux(stream.encode(av.VideoFrame(16, 16, "yuv420p")))
        output.mux(stream.encode(None))
    return file.getvalue()


HALF = len(containers.encoded(SPOKEN, "webm")) // 2
LONG = np.tile(SPOKEN, 1 + 121 * containers.SR // len(SPOKEN))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(99), "is MPEG-4 that cannot be decoded"),
        (b"\x1aE\xdf\xa3\x01\0\0\0" + bytes(99), "is WebM or Matroska that cannot be decoded"),
        (b"#!AMR\n" + b"\xff" * 99, "is AMR that"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(99), "is Windows Media that cannot be decoded"),
        (b"\xff\xf1\x50\x80" + bytes(99), "is AAC that"),
        (without_sound(), "is MPEG-4 that has no sound in it"),
        (containers.encoded(SPOKEN, "m4a")[:-2000], "is MPEG-4 that cannot be decoded"),
        (containers.encoded(SPOKEN, "webm")[:HALF], "is WebM or Matroska that is cut off: 0.[0-9] of 0.[0-9] s"),
        (containers.encoded(LONG, "amr"), "lasts 121 s"),
    ],
    ids=["m4a", "webm", "amr", "wma", "aac", "no sound", "no end", "half", "long"],
)
def test_what_ffmpeg_cannot_decode_is_one_line(tmp_path, content, message):
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(ValueError, match=f"a.wav {message}.*; expected [^\n]*[^\n.]$"):
        audio.load(tmp_path / "a.wav", 22050)


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_channels_that_cancel_each_other_are_refused(tmp_path, subtype):
    channels = {"antiphase": [SECOND, -SECOND], "one": [SECOND, 0 * SECOND], "silent": [0 * SECOND, 0 * SECOND]}
    channels["nearly"] = [SECOND, -0.9 * SECOND]
    for name, both in channels.items():
        soundfile.write(tmp_path / f"{name}.wav", np.stack(both, axis=1), 16000, subtype=subtype)
    message = (
        "antiphase.wav has channels that cancel each other when they are mixed to mono; expected channels in phase"
    )
    with pytest.raises(ValueError, match=rf"{message}. Keep one channel of it, or invert the other$"):
        audio.load(tmp_path / "antiphase.wav", 16000)
    np.testing.assert_allclose(audio.load(tmp_path / "one.wav", 16000), SECOND / 2, atol=1e-4)
    np.testing.assert_allclose(audio.load(tmp_path / "nearly.wav", 16000), SECOND / 20, atol=1e-4)
    assert not audio.load(tmp_path / "silent.wav", 16000).any()


# Rooms


def test_an_echo_dies_away_and_is_as_loud_as_was_asked():
    click = np.zeros(16000, np.float32)
    click[0] = 0.5
    room = {"reverberation_s": 0.5, "direct_db": 6, "noise_db": 200}
    heard = audio.in_room(click, 16000, rng=np.random.default_rng(0), **room)
    assert np.abs(heard).max() == pytest.approx(0.5)
    direct, echo = heard[0] ** 2, heard[1:8000] ** 2
    assert 10 * np.log10(direct / echo.sum()) == pytest.approx(6, abs=1.5)  # the click itself has a little of it
    first, last = echo[:800].sum(), echo[-800:].sum()  # 0.45 s apart, of 0.5 s for 60 dB
    assert 10 * np.log10(first / last) == pytest.approx(54, abs=3)


def test_a_rooms_noise_lies_below_the_voice():
    heard = audio.in_room(SPOKEN, 48000, rng=np.random.default_rng(0), reverberation_s=0.3, direct_db=100, noise_db=10)
    noise = heard[: len(SPOKEN)] - SPOKEN * (heard[: len(SPOKEN)] @ SPOKEN / (SPOKEN @ SPOKEN))
    assert audio.level_db(heard) - audio.level_db(noise) == pytest.approx(10, abs=1)


# A recording in whatever form


def test_every_kind_of_recording_is_one_signal(tmp_path):
    soundfile.write(tmp_path / "a.wav", SECOND, 16000, subtype="FLOAT")
    content = (tmp_path / "a.wav").read_bytes()
    expected = audio.load(tmp_path / "a.wav", 22050)
    with (tmp_path / "a.wav").open("rb") as opened:
        opened.seek(100)  # somebody has looked into it
        kinds = [tmp_path / "a.wav", str(tmp_path / "a.wav"), opened, io.BytesIO(content), content, bytearray(content)]
        kinds += [memoryview(content), unseekable(content)]
        for source in kinds:
            np.testing.assert_array_equal(audio.signal_of(source, None, 22050), expected)
    for array in (SECOND, SECOND.astype(np.float64)):
        signal = audio.signal_of(array, 16000, 22050)
        np.testing.assert_allclose(signal, expected, atol=1e-6)
        assert signal.dtype == np.float32
    np.testing.assert_array_equal(audio.signal_of(SECOND, np.int64(22050), 22050), SECOND)


def unseekable(content):
    """Return an open file that cannot go back, as a pipe is."""

    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError("a pipe")

    return Pipe(content)


@pytest.mark.parametrize(
    ("source", "sr", "message"),
    [
        (None, None, "the recording is a NoneType; expected a path, an open file, bytes of a sound file, or an array"),
        ([0.0, 0.1], 16000, "the recording is a list; expected a path, .*or an array of samples .numpy. with its rate"),
        ("a.wav", 16000, "a rate of 16000 Hz is given for a file, which has its own; expected none. Leave it out"),
        (
            io.StringIO("RIFF"),
            None,
            "the recording is a file that is open as text; expected bytes. Open it with mode 'rb'",
        ),
        ("gone.wav", None, "gone.wav does not exist; expected a sound file. Name another"),
        (b"", None, r"the recording is empty \(0 bytes\), not audio; expected a recording. Get the file again"),
        (SECOND, None, "the signal's rate is None; expected a whole number from 4,000 to 384,000 Hz. Give it with"),
        (SECOND, 16000.0, r"the signal's rate is 16000\.0; expected a whole number from"),
        (SECOND, True, "the signal's rate is True; expected a whole number from"),
        (SECOND, 100, "the signal's rate is 100; expected a whole number from"),
        (
            SECOND[:, None],
            16000,
            r"the signal has shape \(16000, 1\); expected \(n_samples,\), mono, .*Average the chan",
        ),
        (SECOND[:0], 16000, r"the signal has shape \(0,\); expected \(n_samples,\), mono, with one sample or more"),
        (
            (SECOND * 32767).astype(np.int16),
            16000,
            "samples of type int16; expected floats .*Divide 16-bit samples by 32768",
        ),
        (np.array(["a", "b"]), 16000, "the signal has samples of type <U1; expected floats"),
        (np.tile(SECOND, 121), 16000, "the signal lasts 121 s; expected one utterance, at most 120 s. Cut it into"),
        (
            SECOND * np.nan,
            16000,
            "the signal has samples that are not finite numbers, or far too large; expected values",
        ),
        (SECOND * 1e30, 16000, "the signal has samples that are not finite numbers, or far too large; expected values"),
    ],
)
def test_what_is_no_recording_is_refused_in_a_line(source, sr, message):
    with pytest.raises((TypeError, ValueError, FileNotFoundError), match=message) as caught:
        audio.signal_of(source, sr, 22050)
    assert "\n" not in str(caught.value)


def test_a_signal_that_is_given_is_not_changed():
    given = SECOND.copy()
    audio.signal_of(given, 16000, 16000)[:] = 0
    np.testing.assert_array_equal(given, SECOND)


def test_one_list_of_suffixes_says_what_looks_like_sound(tmp_path):
    for suffix in audio.SUFFIXES:
        (tmp_path / f"a{suffix.upper()}").touch()
    assert {file.suffix.lower() for file in audio.files(tmp_path)} == set(audio.SUFFIXES)
    assert {".wav", ".flac", ".mp3", ".m4a", ".webm", ".amr", ".opus"} <= set(audio.SUFFIXES)


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
