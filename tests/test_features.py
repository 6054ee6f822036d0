import json
import os
import time

import joblib
import librosa
import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import silhouette_score

from conftest import real, worked
from serlib import audio, cache, corpora, features, index, recipes, synthetic
from serlib.features import LogMel, MfccFunctionals, MfccMean, extraction

RECIPE_NAMES = list(recipes.RECIPES)
ELSEWHERE = {"whisper", "whisper-tiny.en", "egemaps", "compare"}  # tested in test_encoders


def librosas(signal, f):
    if f.trim_db is not None:
        signal, _ = librosa.effects.trim(signal, top_db=f.trim_db)
    if f.level_db is not None:
        signal = signal * 10 ** (f.level_db / 20) / np.sqrt(np.mean(signal.astype(np.float64) ** 2))
    return librosa.feature.mfcc(
        y=signal, sr=f.sr, n_mfcc=f.n_mfcc, n_fft=f.n_fft, win_length=f.win_length, hop_length=f.hop_length,
        n_mels=f.n_mels, window="hann", center=True, pad_mode="constant", power=2.0, htk=False, norm="ortho",
    )  # fmt: skip


@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.parametrize("emotion", ["anger", "sadness"])
def test_mfccs_equal_librosas_on_synthetic_speech(name, emotion):
    f = recipes.get(name).features
    signal = synthetic.speech(emotion, "anyone", gender="female", sr=f.sr)
    ours, theirs = features.mfcc(signal, f.sr, features=f), librosas(signal, f)
    assert ours.shape == theirs.shape
    assert f.trim_db is not None or ours.shape == (50, 1 + len(signal) // f.hop_length)
    assert np.abs(ours - theirs).max() < 1e-3
    mean = features.mean_mfcc(signal, f.sr, features=f)
    assert mean.dtype == np.float32
    assert np.abs(mean - theirs.astype(np.float64).mean(axis=1)).max() < 1e-3


@pytest.mark.corpus
@pytest.mark.parametrize("name", RECIPE_NAMES)
@pytest.mark.parametrize("corpus", ["emodb", "ravdess", "crema-d", "tess"])
def test_mfccs_equal_librosas_on_real_speech(name, corpus):
    f, files = recipes.get(name).features, sorted(real(corpus).rglob("*.wav"))
    for file in files[:: len(files) // 12]:
        signal = audio.load(file, f.sr)
        assert np.abs(features.mfcc(signal, f.sr, features=f) - librosas(signal, f)).max() < 1e-3, file


@pytest.mark.parametrize(
    "change",
    [
        {"win_length": 400},
        {"n_fft": 1024, "win_length": 600},
        {"hop_length": 100},
        {"n_mels": 40, "n_mfcc": 13},
        {"n_fft": 513, "hop_length": 1},  # frames that end where the signal does
    ],
)
def test_mfccs_equal_librosas_with_other_settings(change):
    f = msgspec.structs.replace(recipes.get("paper").features, **change)
    signal = synthetic.speech("happiness", "anyone", gender="male", sr=f.sr)
    assert np.abs(features.mfcc(signal, f.sr, features=f) - librosas(signal, f)).max() < 1e-3


def test_levelled_features_hear_neither_level_nor_the_silence_around():
    f, plain = recipes.get("paper-levelled").features, recipes.get("paper").features
    signal = synthetic.speech("neutral", "anyone", gender="male", sr=f.sr)
    trimmed = audio.trim(signal, f.trim_db)
    level_db = audio.level_db(trimmed)
    expected = features.mean_mfcc(trimmed * np.float32(10 ** ((-26 - level_db) / 20)), f.sr, features=plain)
    heard = features.mean_mfcc(signal, f.sr, features=f)
    np.testing.assert_allclose(heard, expected, atol=1e-3)
    around = np.concatenate([np.zeros(f.hop_length * 40, np.float32), signal / 8])
    np.testing.assert_allclose(features.mean_mfcc(around, f.sr, features=f), heard, atol=0.5)
    plainly = (features.mean_mfcc(sound, f.sr, features=plain) for sound in (around, signal))
    assert np.abs(np.subtract(*plainly)).max() > 50
    assert np.isfinite(features.mean_mfcc(np.zeros(3000, np.float32), f.sr, features=f)).all()


@pytest.mark.parametrize(("sr", "n_fft", "n_mels"), [(22050, 512, 128), (22050, 2048, 128), (16000, 400, 40)])
def test_mel_bands_equal_librosas(sr, n_fft, n_mels):
    expected = librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels)
    np.testing.assert_allclose(features.mel_bands(sr, n_fft, n_mels), expected, atol=1e-7)


@settings(max_examples=30, deadline=None)
@given(n_samples=st.integers(1, 3000), level=st.floats(0, 1, width=32), seed=st.integers(0, 99))
def test_any_signal_however_short_gives_finite_features(n_samples, level, seed):
    signal = (level * np.random.default_rng(seed).uniform(-1, 1, n_samples)).astype(np.float32)
    f = recipes.get("paper").features
    mean = features.mean_mfcc(signal, f.sr, features=f)
    assert mean.shape == (50,)
    assert np.isfinite(mean).all()


def test_silence_is_the_floor_of_the_scale():
    f = recipes.get("paper").features
    np.testing.assert_allclose(features.mel_db(np.zeros(1000, np.float32), f.sr, features=f), -100, rtol=1e-6)


@pytest.mark.parametrize(
    ("signal", "sr", "message"),
    [
        (np.zeros(100, np.float32), 16000, "the signal has 16000 Hz, the recipe 22050 Hz"),
        (np.zeros(0, np.float32), 22050, r"shape \(0,\); expected \(n_samples,\)"),
        (np.zeros((2, 9), np.float32), 22050, r"shape \(2, 9\)"),
        (np.full(9, np.inf, np.float32), 22050, "not finite"),
    ],
)
def test_signals_that_are_none_are_refused(signal, sr, message):
    with pytest.raises(ValueError, match=message):
        features.mfcc(signal, sr, features=recipes.get("paper").features)


@pytest.fixture
def table(workplace, wavs):
    return index.scan(wavs("wav/03a01Fa.wav", "wav/03a01Nc.wav", "wav/08a01Wa.wav"), "emodb")


def test_rows_are_vectors_in_the_tables_order(table):
    f = recipes.get("paper").features
    X = features.extract(table, features=f)
    assert X.shape == (3, 50)
    assert X.dtype == np.float32
    root = index.root_of(table)
    for vector, path in zip(X, table["path"], strict=True):
        np.testing.assert_array_equal(vector, features.from_file(root / path, features=f))
    np.testing.assert_array_equal(features.extract(table[::-1], features=f), X[::-1])


def test_what_was_computed_is_not_computed_again(table, monkeypatch):
    f = recipes.get("paper").features
    first = features.extract(table, features=f)
    with monkeypatch.context() as patch:
        patch.setattr(extraction, "from_file", lambda *_, **__: pytest.fail("computed again"))
        np.testing.assert_array_equal(features.extract(table, features=f), first)
    other = msgspec.structs.replace(f, n_mfcc=13)
    assert features.extract(table, features=other).shape == (3, 13)


def test_a_killed_extraction_keeps_what_it_did(table, monkeypatch):
    f = recipes.get("paper").features
    monkeypatch.setattr(extraction, "CHUNK", 1)
    compute, done = features.from_file, []

    def die_at_the_third(file, *, features):
        done.append(file)
        if len(done) == 3:
            raise KeyboardInterrupt
        return compute(file, features=features)

    monkeypatch.setattr(extraction, "from_file", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        features.extract(table, features=f, n_jobs=1)
    features.extract(table, features=f, n_jobs=1)
    assert len(done) == 4


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_every_backend_gives_the_same_numbers(table, backend, monkeypatch):
    f = recipes.get("paper").features
    monkeypatch.setattr(extraction, "CHUNK", 1)
    expected = np.stack([features.from_file(index.root_of(table) / path, features=f) for path in table["path"]])
    with joblib.parallel_config(backend=backend, n_jobs=2):
        np.testing.assert_array_equal(features.extract(table, features=f), expected)


def where(chunk):
    """Return the process that is at work, for each item."""
    return [os.getpid() for _ in chunk]


def test_many_recordings_are_given_to_processes_and_few_are_not(monkeypatch):
    monkeypatch.setattr(extraction, "CHUNK", 2)
    monkeypatch.setattr(extraction, "PROCESSES_PAY", 64)
    few = list(features.in_chunks(where, list(range(6)), n_jobs=2))
    assert {pid for pids in few for pid in pids} == {os.getpid()}
    many = list(features.in_chunks(where, list(range(extraction.PROCESSES_PAY)), n_jobs=2))
    assert os.getpid() not in {pid for pids in many for pid in pids}
    assert sum(map(len, many)) == extraction.PROCESSES_PAY
    assert list(features.in_chunks(where, [])) == []


def grow(chunk):
    """Grow by more than joblib lets a process grow, after a chunk that it knows the process by."""
    grow.kept = np.ones(40_000_000 if hasattr(grow, "kept") else 1)
    time.sleep(1.2)
    return chunk


def test_processes_that_are_started_anew_are_waited_for_where_warnings_are_errors(monkeypatch):
    monkeypatch.setattr(extraction, "PROCESSES_PAY", 64)
    monkeypatch.setattr(extraction, "CHUNK", 8)
    items = list(range(extraction.PROCESSES_PAY))
    assert sorted(item for done in features.in_chunks(grow, items, n_jobs=2) for item in done) == items


@pytest.mark.slow
def test_a_dask_cluster_extracts_the_same_numbers_in_its_own_processes(emodb, cluster, workplace, monkeypatch):
    f, root = recipes.get("paper").features, index.root_of(emodb)
    monkeypatch.setattr(extraction, "CHUNK", 4)
    expected = np.stack([features.from_file(root / path, features=f) for path in emodb["path"]])
    monkeypatch.setattr(audio, "load", lambda *_, **__: pytest.fail("computed here"))
    with joblib.parallel_config(backend="dask"):
        np.testing.assert_array_equal(features.extract(emodb, features=f), expected)
    assert worked(cluster) == 2


def test_a_changed_or_missing_recording_is_refused(table):
    f, root = recipes.get("paper").features, index.root_of(table)
    features.extract(table, features=f)
    other = (root / "wav" / "08a01Wa.wav").read_bytes()
    (root / "wav" / "03a01Fa.wav").write_bytes(other)
    with pytest.raises(ValueError, match="03a01Fa.wav is not the file that was indexed"):
        features.extract(table, features=f)
    (root / "wav" / "03a01Fa.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"03a01Fa.wav is gone; .*Index it again"):
        features.extract(table, features=f)


def test_a_moved_corpus_is_found_by_its_root(table, tmp_path):
    f, root = recipes.get("paper").features, index.root_of(table)
    first = features.extract(table, features=f)
    moved = root.rename(tmp_path / "moved")
    np.testing.assert_array_equal(features.extract(table, features=f, root=moved), first)


def test_every_corpus_whatever_its_rate_and_channels_gives_vectors(made, workplace):
    for name in corpora.NAMES:
        X = features.extract(index.scan(made[name], name)[:5], features=recipes.get("paper").features)
        assert X.shape == (5, 50)
        assert np.isfinite(X).all()


def test_the_spectrogram_is_librosas():
    sizes = MfccMean(n_fft=1024, win_length=800)
    signal = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    power = np.abs(librosa.stft(signal, n_fft=1024, win_length=800, hop_length=256, pad_mode="constant")) ** 2
    np.testing.assert_allclose(
        features.spectrogram_db(signal, 22050, features=sizes), librosa.power_to_db(power), atol=1e-3
    )


def tones_table(root):
    """A table of three tones, with their frequencies and peaks."""
    rows = [(110, 0.5), (220, 0.1), (330, 0.02)]
    for hz, peak in rows:
        audio.write(root / f"{hz}.wav", (peak * np.sin(2 * np.pi * hz * np.arange(16000) / 16000)).astype("f4"), 16000)
    paths = [f"{hz}.wav" for hz, _ in rows]
    table = pd.DataFrame({"path": paths, "content": [cache.content_hash(root / path) for path in paths]})
    table = table.assign(utterance=[f"tones/{path}" for path in paths], corpus="tones", speaker="tones/1")
    table = table.assign(emotion="neutral", part="train", duration_s=1.0, sample_rate_hz=16000, channels=1)
    return table.assign(**dict.fromkeys(("gender", "sentence", "take", "intensity", "flags"), "")), rows


def test_level_and_pitch_of_tones_are_known_and_measured_once(workplace, monkeypatch):
    table, rows = tones_table(workplace)
    measured = features.level_and_pitch(table, root=workplace)
    np.testing.assert_allclose(measured[:, 0], [20 * np.log10(peak) - 3.01 for _, peak in rows], atol=0.02)
    np.testing.assert_allclose(measured[:, 1], [hz for hz, _ in rows], rtol=0.01)
    monkeypatch.setattr(audio, "load", lambda *_: pytest.fail("it was measured again"))
    np.testing.assert_array_equal(features.level_and_pitch(table[::-1], root=workplace), measured[::-1])


def test_yin_is_compiled_before_processes_need_it(workplace, monkeypatch):
    """Two processes that compile at once spoil numba's cache, and librosa ends in a segmentation fault ever after."""
    done = []
    monkeypatch.setattr(audio, "pitch_hz", lambda *_: done.append("compiled"))
    monkeypatch.setattr(extraction, "in_chunks", lambda *_, **__: done.append("started") or iter(()))
    with pytest.raises(KeyError):  # nothing was measured
        features.level_and_pitch(tones_table(workplace)[0], root=workplace)
    assert done == ["compiled", "started"]


@pytest.mark.parametrize("method", ["PCA", "t-SNE"])
def test_a_map_keeps_groups_apart_and_is_the_same_each_time(method):
    rng, groups = np.random.default_rng(0), np.repeat([0, 1, 2], 20)
    X = (rng.normal(0, 1, (60, 10)) + 12 * np.eye(3, 10)[groups]).astype(np.float32)
    X[:, 0] *= 1000  # units do not matter
    places = features.project(X, method, seed=1)
    assert places.shape == (60, 2)
    np.testing.assert_array_equal(places, features.project(X, method, seed=1))
    assert silhouette_score(places, groups) > 0.4


def test_a_sound_made_of_mfccs_has_those_mfccs():
    sizes = MfccMean(n_fft=1024, win_length=1024, n_mels=64, n_mfcc=30)
    times = np.arange(22050) / 22050
    signal = sum(np.sin(2 * np.pi * 150 * k * times) / k for k in range(1, 12)).astype(np.float32) * 0.1
    mfcc = features.mfcc(signal, 22050, features=sizes)
    sound = features.invert(mfcc, features=sizes)
    np.testing.assert_array_equal(sound, features.invert(mfcc, features=sizes))
    again = features.mfcc(sound, 22050, features=sizes)
    assert np.corrcoef(mfcc.mean(axis=1)[1:], again.mean(axis=1)[1:])[0, 1] > 0.9
    assert abs(len(sound) - len(signal)) <= sizes.hop_length


def test_functionals_are_those_of_numpy_over_librosas_contours():
    f = MfccFunctionals()
    signal = synthetic.speech("anger", "anyone", gender="female", sr=f.sr)
    mfcc = librosas(signal, f)
    frames = librosa.util.frame(np.pad(signal, f.n_fft // 2), frame_length=f.n_fft, hop_length=f.hop_length)
    window = librosa.util.pad_center(librosa.filters.get_window("hann", f.win_length), size=f.n_fft)[:, None]
    power = (np.abs(np.fft.rfft(frames * window, axis=0)) ** 2).sum(axis=0)
    level = librosa.power_to_db(power)[None]
    contours = np.concatenate([mfcc, librosa.feature.delta(mfcc, mode="nearest"), level])
    statistics = [contours.mean(axis=1), contours.std(axis=1)]
    statistics += [np.quantile(contours, q, axis=1) for q in (0.05, 0.25, 0.5, 0.75, 0.95)]
    vector = features.apply(f, signal)
    assert vector.shape == f.shape == (7 * 41,)
    np.testing.assert_allclose(vector, np.concatenate(statistics), atol=2e-3)


@pytest.mark.parametrize("duration_s", [0.4, 3.0, 5.0])
def test_log_mel_is_librosas_cut_to_its_middle_or_padded_at_its_end(duration_s):
    f = LogMel()
    signal = np.random.default_rng(0).normal(0, 0.1, int(duration_s * f.sr)).astype(np.float32)
    signal *= np.hanning(len(signal)).astype(np.float32)
    mel = librosa.feature.melspectrogram(
        y=signal, sr=f.sr, n_fft=f.n_fft, win_length=f.win_length, hop_length=f.hop_length, n_mels=f.n_mels,
        pad_mode="constant",
    )  # fmt: skip
    expected = librosa.power_to_db(mel, ref=np.max).T
    array = features.apply(f, signal)
    assert array.shape == (300, 64)
    start = max(0, (len(expected) - 300) // 2)
    np.testing.assert_allclose(array[: len(expected)], expected[start : start + 300], atol=1e-3)
    assert (array[len(expected) :] == -f.top_db).all()


@pytest.mark.parametrize("name", sorted(features.NAMED.keys() - ELSEWHERE))
def test_each_kind_gives_finite_numbers_of_its_shape_and_survives_json(name, table):
    f = features.get(name)
    for n_samples in (1, 400, 30 * f.sr):
        noise = np.random.default_rng(0).normal(0, 0.1, n_samples).astype(np.float32)
        assert features.apply(f, noise).shape == f.shape
    assert features.apply(f, np.zeros(1000, np.float32)).dtype == np.float32
    assert features.from_dict(json.loads(json.dumps(features.to_dict(f)))) == f
    assert features.extract(table, features=f).shape == (3, *f.shape)
    assert f.about
    assert f.cost


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "mfcc-median"}, "features of the kind 'mfcc-median' are unknown; expected one of whisper"),
        ({}, "features of the kind None are unknown"),
        ("mfcc-mean", "features of the kind 'mfcc-mean' are unknown"),
        ({"kind": "mfcc-mean", "hop": 3}, "features mfcc-mean have no setting 'hop'; expected kind, sr"),
        ({"kind": "mfcc-mean", "sr": 0}, r"features mfcc-mean: expected `int` >= 1 - at `\$.sr`"),
        ({"kind": "log-mel", "n_frames": "many"}, r"features log-mel: expected `int`, got `str`"),
        ({"kind": "mfcc-mean", "n_mfcc": 200}, "n_mfcc 200 exceeds n_mels 128"),
    ],
)
def test_features_that_nobody_wrote_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        features.from_dict(fields)


def test_a_setting_out_of_range_is_refused_when_it_is_made():
    with pytest.raises(ValueError, match="hop_length is 0: expected `int` >= 1"):
        MfccMean(hop_length=0)
    with pytest.raises(ValueError, match=r"level_db is 3.0: expected `float` <= 0"):
        MfccMean(level_db=3.0)
    with pytest.raises(ValueError, match="win_length 600 exceeds n_fft 512"):
        MfccMean(win_length=600)


def test_features_of_two_corpora_are_those_of_each(made, workplace):
    f, names = features.get("mfcc-mean"), ("emovo", "tess")
    tables = [index.scan(made[name], name)[:5] for name in names]
    expected = np.concatenate([features.extract(table, features=f) for table in tables])
    roots = {name: made[name] for name in names}
    for together in (index.join(tables), pd.concat(tables, ignore_index=True)):
        np.testing.assert_array_equal(features.extract(together, features=f, root=roots), expected)
    with pytest.raises(ValueError, match="the table holds emovo, tess, and one folder is given"):
        features.extract(index.join(tables), features=f, root=made["tess"])


class Loudness(features.Features, tag="loudness", frozen=True):
    sr: int = 8000
    scale: float = 1.0
    shape = (2,)

    def transform(self, signal):
        return self.scale * np.array([np.abs(signal).max(), len(signal)], np.float32)


def test_a_kind_of_ones_own_is_extracted_and_cached_by_its_settings_and_its_code(table, monkeypatch):
    first = features.extract(table, features=Loudness())
    assert first.shape == (3, 2)
    np.testing.assert_array_equal(features.extract(table, features=Loudness(scale=2.0)), 2 * first)

    class Changed(Loudness, tag="loudness", frozen=True):
        def transform(self, signal):
            return 3 * super().transform(signal)

    np.testing.assert_array_equal(features.extract(table, features=Changed()), 3 * first)
    monkeypatch.setattr(Loudness, "transform", lambda *_: pytest.fail("computed again"))
    np.testing.assert_array_equal(features.extract(table, features=Loudness()), first)


def test_features_of_another_shape_or_not_finite_are_refused(table):
    class Wrong(Loudness, tag="wrong", frozen=True):
        shape = (3,)

    with pytest.raises(ValueError, match=r"features wrong returned shape \(2,\); expected \(3,\)"):
        features.extract(table, features=Wrong())
    with pytest.raises(ValueError, match="features loudness returned numbers that are not finite"):
        features.extract(table, features=Loudness(scale=float("inf")))


def test_speakers_are_standardised_each_by_their_own():
    rng = np.random.default_rng(0)
    speakers = np.array(["a", "b"] * 20)
    for shape in ((40, 3), (40, 7, 3)):
        X = rng.normal(5, 2, shape).astype(np.float32)
        standard = features.standardise(X, speakers)
        for speaker in "ab":
            own = standard[speakers == speaker].reshape(-1, 3)
            np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-5)
            np.testing.assert_allclose(own.std(axis=0), 1, atol=1e-5)


# Features that another program has computed


@pytest.fixture
def described(emodb, tmp_path):
    """A table as openSMILE's or nkululeko's: files in another order, times, a word, three numbers."""
    numbers = np.random.default_rng(1).normal(size=(len(emodb), 3))
    table = pd.DataFrame(numbers, columns=["F0", "loudness", "jitter"])
    table.insert(0, "file", "C:\\corpora\\" + emodb["path"].str.split("/").str[-1])
    table.insert(1, "start", "0 days")
    table.insert(2, "end", 1.5)
    table["emotion"] = emodb["emotion"]
    table.sample(frac=1, random_state=0).to_csv(tmp_path / "x.csv", sep=";", index=False)
    return tmp_path / "x.csv", numbers


def test_a_table_of_features_is_joined_by_the_files_names(described, emodb):
    file, numbers = described
    given = features.get(f"table:{file}")
    assert given.shape == (3,)
    np.testing.assert_allclose(features.extract(emodb, features=given), numbers, rtol=1e-6)
    np.testing.assert_allclose(features.extract(emodb[5:9], features=given), numbers[5:9], rtol=1e-6)
    with pytest.raises(ValueError, match="holds no features of this recording; expected a kind that is computed"):
        features.from_file(index.root_of(emodb) / emodb["path"][0], features=given)


def test_a_table_that_changes_after_it_was_named_is_refused(described, emodb):
    file, _ = described
    given = features.get(f"table:{file}")
    file.write_text(file.read_text().replace("0 days", "1 day"))
    with pytest.raises(ValueError, match="x.csv has changed since it was named"):
        features.extract(emodb, features=given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t[1:], "has no row for 1 of 280 utterances, such as .*wav; expected one for each. Add them"),
        (lambda t: pd.concat([t, t[:1]]), "has .*wav twice; expected a row per utterance. Drop one"),
        (lambda t: t.assign(F0=t["F0"].where(t.index != 7)), "F0 of .*wav is missing or not finite; expected a number"),
        (lambda t: t[["file", "emotion", "end"]], "has no columns of numbers; expected one per feature"),
        (lambda t: t.drop(columns="file"), "has no column utterance, path, file, .*; expected one of them. Rename"),
    ],
)
def test_a_table_that_lacks_something_is_told_in_one_line(described, emodb, change, message):
    file, _ = described
    change(pd.read_csv(file, sep=";")).to_csv(file, sep=";", index=False)
    with pytest.raises(ValueError, match=f"x.csv:? {message}") as found:
        features.extract(emodb, features=features.get(f"table:{file}"))
    assert "\n" not in str(found.value)


def test_a_table_that_is_none_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_text("no table")
    with pytest.raises(ValueError, match="x.parquet is no table of features"):
        features.get(f"table:{tmp_path / 'x.parquet'}")
    with pytest.raises(FileNotFoundError, match="gone.csv does not exist; expected a table of features"):
        features.get(f"table:{tmp_path / 'gone.csv'}")


@pytest.mark.parametrize(("gigabytes", "n"), [(1, 1), (2, 2), (8, 12)])
def test_no_more_processes_are_started_than_the_memory_holds(gigabytes, n, monkeypatch):
    monkeypatch.setattr(extraction, "memory_bytes", lambda: gigabytes * 1_000_000_000)
    monkeypatch.setattr(joblib, "cpu_count", lambda: 64)
    assert features.parallel(n_jobs=-1).n_jobs == n
    assert features.parallel(n_jobs=-1, prefer="threads").n_jobs == -1
    assert features.parallel(n_jobs=3).n_jobs == 3


def test_the_memory_of_this_machine_is_known():
    assert 1e9 < extraction.memory_bytes() < 1e15
