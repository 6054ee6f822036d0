import itertools
import json
import shutil
from collections import Counter

import librosa
import numpy as np
import pytest
import soundfile
from sklearn.metrics import recall_score
from sklearn.model_selection import GroupKFold, cross_val_predict, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from serlib import audio, corpora, synthetic
from serlib.labels import EMOTIONS
from serlib.synthetic import voices

LARGE = ("emodb", "crema-d")


@pytest.fixture(scope="session")
def utterances(made):
    found = {}
    for name, folder in made.items():
        paths = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.wav"))]
        found[name] = {path: corpora.get(name).parse(path) for path in paths}
    return found


@pytest.fixture(scope="session")
def mean_mfccs(made, utterances):
    def vectors(name):
        signals = (audio.load(made[name] / path, 22050) for path in utterances[name])
        return np.array([librosa_mean_mfcc(signal) for signal in signals])

    return {name: vectors(name) for name in LARGE}


def librosa_mean_mfcc(signal):
    return librosa.feature.mfcc(
        y=signal, sr=22050, n_mfcc=50, win_length=512, n_fft=512, hop_length=256, n_mels=128, pad_mode="constant"
    ).mean(axis=1)


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", corpora.NAMES)
def test_every_name_is_one_that_the_corpus_publishes_and_none_is_a_known_defect(name, utterances):
    passport = corpora.get(name)
    assert set(utterances[name]) <= set(passport.manifest()["path"])
    assert not {parsed.stem for parsed in utterances[name].values()} & set(passport.defects)
    assert "OAF_neutral/OA_bite_neutral.wav" not in utterances[name]


@pytest.mark.parametrize("name", corpora.NAMES)
def test_every_file_has_the_corpus_rate_channels_and_16_bits(name, made, utterances):
    passport = corpora.get(name)
    infos = [soundfile.info(made[name] / path) for path in utterances[name]]
    expected = (passport.sample_rate_hz, passport.channels, "WAV", "PCM_16")
    assert {(info.samplerate, info.channels, info.format, info.subtype) for info in infos} == {expected}
    assert all(0.5 < info.duration < 2 for info in infos)


@pytest.mark.parametrize(
    ("name", "n_utterances", "n_speakers"),
    [
        ("emovo", 60, 6),
        ("emodb", 250, 6),
        ("tess", 60, 2),
        ("savee", 60, 4),
        ("ravdess", 60, 6),
        ("crema-d", 250, 6),
        ("shemo", 60, 8),
    ],
)
def test_there_are_enough_utterances_of_enough_speakers_of_every_emotion(name, n_utterances, n_speakers, utterances):
    passport, parsed = corpora.get(name), utterances[name].values()
    speakers = {fields.speaker for fields in parsed}
    by_emotion = Counter(fields.emotion for fields in parsed)
    assert len(parsed) >= n_utterances
    assert len(speakers) >= n_speakers
    assert set(by_emotion) == set(passport.emotions)
    assert min(by_emotion.values()) >= 8
    genders = {passport.speakers[speaker].gender for speaker in speakers}
    assert genders == {speaker.gender for speaker in passport.speakers.values()}


@pytest.mark.parametrize("name", corpora.NAMES)
def test_the_marker_counts_what_is_there(name, made, utterances):
    stamp = json.loads((made[name] / "SYNTHETIC.json").read_text(encoding="utf-8"))
    parsed = utterances[name].values()
    assert (stamp["corpus"], stamp["seed"], stamp["n_utterances"]) == (name, 42, len(parsed))
    assert stamp["by_emotion"] == Counter(fields.emotion for fields in parsed)
    assert stamp["by_speaker"] == Counter(fields.speaker for fields in parsed)


def test_all_seven_are_small(made):
    assert sum(len(content) for folder in made.values() for content in contents(folder).values()) < 60e6


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(made, tmp_path):
    first = contents(made["tess"])
    assert contents(synthetic.write("tess", tmp_path / "again")) == first
    other = contents(synthetic.write("tess", tmp_path / "other", seed=1))
    assert set(other) == set(first)
    assert not any(other[path] == first[path] for path in first)


def test_no_two_utterances_are_the_same_recording(made):
    for folder in made.values():
        recordings = [content for path, content in contents(folder).items() if path.suffix == ".wav"]
        assert len(set(recordings)) == len(recordings)


def test_what_is_there_already_is_not_written_again(made):
    folder = made["savee"]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert synthetic.write("SAVEE", folder.parent) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_run_that_was_killed_is_done_again(made, tmp_path, monkeypatch):
    written = itertools.count()

    def killed_at_the_tenth(*arguments):
        if next(written) == 9:
            raise KeyboardInterrupt
        real_write(*arguments)

    real_write = audio.write
    with monkeypatch.context() as patch:
        patch.setattr(audio, "write", killed_at_the_tenth)
        with pytest.raises(KeyboardInterrupt):
            synthetic.write("tess", tmp_path)
    assert len(contents(tmp_path)) == 9 + 1  # and the marker, which says that it is not complete
    assert contents(synthetic.write("tess", tmp_path)) == contents(made["tess"])


def test_another_version_is_replaced_and_leaves_nothing_behind(made, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(synthetic, "VERSION", 0)
        patch.setitem(synthetic.SIZES, "tess", (2, 70))
        synthetic.write("tess", tmp_path)
    assert contents(synthetic.write("tess", tmp_path)) == contents(made["tess"])


@pytest.mark.parametrize(
    "path", ["OAF_neutral/OA_bite_neutral.wav", "YAF_sad/YAF_bath_sad.wav", "YAF_sad/YAF_bath_sad.WAV", "mine.flac"]
)
def test_recordings_that_were_not_synthesised_are_never_touched(tmp_path, path):
    recording = tmp_path / "TESS" / path
    audio.write(recording, np.zeros(100, dtype=np.float32), 24414)
    before = recording.read_bytes()
    with pytest.raises(FileExistsError, match="1 recordings or links that were not synthesised, such as"):
        synthetic.write("tess", tmp_path)
    assert contents(tmp_path / "TESS") == {recording.relative_to(tmp_path / "TESS"): before}


def test_recordings_behind_a_link_or_put_beside_synthetic_ones_are_never_touched(tmp_path, made):
    file = min(made["tess"].rglob("*.wav")).relative_to(made["tess"])
    (tmp_path / "mine").mkdir()
    real = shutil.copy(made["tess"] / file, tmp_path / "mine")
    (tmp_path / "linked" / "TESS").mkdir(parents=True)
    (tmp_path / "linked" / "TESS" / file.parent).symlink_to(tmp_path / "mine")
    shutil.copytree(made["tess"], tmp_path / "beside" / "TESS")
    shutil.copytree(tmp_path / "mine", tmp_path / "beside" / "TESS" / "mine")
    shutil.copytree(made["tess"], tmp_path / "linked file" / "TESS")
    (tmp_path / "linked file" / "TESS" / file).unlink()
    (tmp_path / "linked file" / "TESS" / file).symlink_to(real)
    before = contents(tmp_path)
    for place in ("linked", "beside", "linked file"):
        with pytest.raises(FileExistsError, match="1 recordings or links that were not synthesised, such as"):
            synthetic.write("tess", tmp_path / place, seed=7)
    assert contents(tmp_path) == before


def test_speech_is_float32_within_full_scale_and_needs_no_corpus():
    for emotion, sr in itertools.product(EMOTIONS, (16000, 24414, 48000)):
        signal = synthetic.speech(emotion, "anyone", gender="male", sr=sr)
        assert signal.dtype == np.float32
        assert signal.ndim == 1
        assert 0.5 < len(signal) / sr < 2
        assert 0.01 < np.abs(signal).max() <= 1
    assert set(voices.EMOTIONS) == set(EMOTIONS)


def test_an_unknown_emotion_or_gender_is_refused():
    with pytest.raises(ValueError, match="emotion 'happy' is unknown; use anger, boredom"):
        synthetic.speech("happy", "anyone", gender="female", sr=16000)
    with pytest.raises(ValueError, match="gender 'F' is unknown; use female, male"):
        synthetic.speech("anger", "anyone", gender="F", sr=16000)


def test_anger_is_louder_higher_faster_and_sharper_than_sadness():
    def measured(emotion):
        rows = []
        for speaker, gender in itertools.product(("a", "b", "c", "d"), ("female", "male")):
            signal = synthetic.speech(emotion, speaker, gender=gender, sr=16000)
            pitch_hz = np.median(librosa.yin(signal, fmin=60, fmax=600, sr=16000, frame_length=1024))
            power = np.abs(np.fft.rfft(signal)) ** 2
            sharpness = power[np.fft.rfftfreq(len(signal), 1 / 16000) > 1500].sum() / power.sum()
            rows.append((audio.level_db(signal), pitch_hz, 1 / len(signal), sharpness))
        return np.median(rows, axis=0)

    assert np.all(measured("anger") > measured("sadness"))


def test_women_are_higher_pitched_than_men():
    def pitch_hz(gender):
        signals = (synthetic.speech("neutral", f"{i}", gender=gender, sr=16000) for i in range(8))
        return np.median([np.median(librosa.yin(signal, fmin=60, fmax=600, sr=16000)) for signal in signals])

    assert pitch_hz("female") > 1.3 * pitch_hz("male")


@pytest.mark.parametrize("name", LARGE)
def test_a_random_split_flatters_a_model_and_a_speaker_split_does_not(name, mean_mfccs, utterances):
    X = mean_mfccs[name]
    y_true = np.array([parsed.emotion for parsed in utterances[name].values()])
    speakers = np.array([parsed.speaker for parsed in utterances[name].values()])
    groups = np.unique(speakers, return_inverse=True)[1] % 6

    def predicted(train, test):
        classifier = make_pipeline(StandardScaler(), SVC(C=10, class_weight="balanced"))
        return classifier.fit(X[train], y_true[train]).predict(X[test])

    def uar(test, y_pred):
        return recall_score(y_true[test], y_pred, average="macro")

    random = []
    for seed in range(5):
        train, test = train_test_split(np.arange(len(X)), test_size=0.2, stratify=y_true, random_state=seed)
        random.append(uar(test, predicted(train, test)))
    y_pred = np.empty_like(y_true)
    for group in range(6):
        y_pred[groups == group] = predicted(groups != group, groups == group)
    unseen = uar(slice(None), y_pred)
    assert unseen > 1 / len(set(y_true)) + 0.1
    assert np.mean(random) > 0.7
    assert np.mean(random) - unseen > 0.15


def test_a_model_of_one_corpus_knows_less_of_another_than_of_unseen_speakers_of_its_own(mean_mfccs, utterances):
    emotions = {name: np.array([parsed.emotion for parsed in utterances[name].values()]) for name in LARGE}
    shared = np.intersect1d(*emotions.values())
    classifier, own, other = make_pipeline(StandardScaler(), SVC(C=10, class_weight="balanced")), [], []
    for name, another in itertools.permutations(LARGE):
        use, use_other = (np.isin(emotions[corpus], shared) for corpus in (name, another))
        X, y = mean_mfccs[name][use], emotions[name][use]
        speakers = np.array([parsed.speaker for parsed in utterances[name].values()])[use]
        said = cross_val_predict(classifier, X, y, groups=speakers, cv=GroupKFold(4))
        own.append(recall_score(y, said, average="macro"))
        said = classifier.fit(X, y).predict(mean_mfccs[another][use_other])
        other.append(recall_score(emotions[another][use_other], said, average="macro"))
    assert np.mean(own) > np.mean(other) + 0.05


def test_corpora_are_recorded_at_levels_and_with_noise_of_their_own(made, utterances):
    levels, floors = {}, {}
    for name in ("emodb", "emovo", "ravdess"):
        signals = [soundfile.read(made[name] / path, always_2d=True)[0][:, 0] for path in list(utterances[name])[::8]]
        levels[name] = np.mean([audio.level_db(signal.astype(np.float32)) for signal in signals])
        floors[name] = np.median([20 * np.log10(np.std(signal[:200])) for signal in signals])
    assert levels["emovo"] - levels["emodb"] > 4  # which ROOMS puts 8 dB apart
    assert levels["emodb"] - levels["ravdess"] > 6  # 12 dB
    assert floors["emovo"] == pytest.approx(-50, abs=2)
    assert floors["emodb"] < -60
