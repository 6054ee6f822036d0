import base64
import copy
import io
import subprocess
import sys

import msgspec
import numpy as np
import pandas as pd
import pytest
import soundfile

from conftest import real
from serlib import audio, bundle, corpora, features, index, predict, recipes, synthetic
from serlib.bundle import saving
from serlib.features import extraction


@pytest.fixture(scope="module")
def trained(emodb, tmp_path_factory):
    """A model of synthetic EMODB: the classifier, bundle's folder, index table."""
    recipe = recipes.get("paper")
    _, fold, folder = bundle.train(emodb, recipe=recipe, epochs=5, folder=tmp_path_factory.mktemp("models") / "b")
    return fold.model, folder, emodb


def test_prediction_says_what_the_trained_network_says(trained):
    model, folder, table = trained
    paths = [f"{table.attrs['folder']}/{path}" for path in table["path"][:12]]
    said = predict.predict(paths, folder)
    X = np.stack([features.from_file(path, features=recipes.get("paper").features) for path in paths])
    expected = model.predict_proba(X)
    emotions = corpora.get("emodb").emotions
    np.testing.assert_allclose(said[[f"p_{emotion}" for emotion in emotions]], expected, atol=1e-4)
    assert list(said["emotion"]) == [emotions[k] for k in expected.argmax(axis=1)]
    assert list(said["path"]) == paths
    assert (said["error"] == "").all()


def test_a_folder_means_every_recording_in_it(trained):
    _, folder, table = trained
    said = predict.predict(table.attrs["folder"], folder)
    assert len(said) == len(table)


def test_a_bad_file_does_not_stop_the_others(trained, tmp_path):
    _, folder, table = trained
    (tmp_path / "a.wav").write_text("no sound")
    good = f"{table.attrs['folder']}/{table['path'][0]}"
    said = predict.predict([tmp_path / "a.wav", good, tmp_path / "gone.wav"], folder)
    assert list(said["error"] == "") == [False, True, False]
    assert "is text (8 bytes)" in said["error"][0]
    assert "does not exist" in said["error"][2]
    assert said["emotion"][1]


def test_warnings_reach_the_table(trained, tmp_path):
    _, folder, _ = trained
    audio.write(tmp_path / "silence.wav", np.zeros(16000, np.float32), 16000)
    (warnings,) = predict.predict(tmp_path / "silence.wav", folder)["warnings"]
    assert warnings[0] == "silent: every sample is zero; see whether the microphone is muted"
    assert warnings[1].startswith("unfamiliar: unlike anything this model has heard (distance ")
    assert len(warnings) == 2


def test_what_is_unlike_the_training_part_is_called_unfamiliar(trained, tmp_path):
    _, folder, table = trained
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16000).astype(np.float32)
    audio.write(tmp_path / "noise.wav", noise, 16000)
    (warnings,) = predict.predict(tmp_path / "noise.wav", folder)["warnings"]
    assert [warning.split(":")[0] for warning in warnings] == [predict.UNFAMILIAR]
    tested = [f"{table.attrs['folder']}/{path}" for path in table.loc[table["part"] == "test", "path"]]
    refused = [bool(warnings) for warnings in predict.predict(tested, folder)["warnings"]]
    assert np.mean(refused) < 0.2


def test_a_bundle_that_comes_with_the_package_is_found_by_its_name(trained, workplace):
    _, _, table = trained
    predictor = predict.Predictor("emodb-paper")
    assert not predictor.contract.synthetic
    assert predictor.hear(f"{table.attrs['folder']}/{table['path'][0]}")["emotion"] in predictor.contract.emotions


@pytest.mark.corpus
def test_the_bundle_that_ships_knows_most_of_its_corpus_and_refuses_others():
    own, other = (audio.files(real(name))[:200] for name in ("emodb", "tess"))
    said = [predict.predict(files, "emodb-paper")["warnings"] for files in (own, other)]
    refused = [np.mean([any(predict.UNFAMILIAR in one for one in found) for found in warnings]) for warnings in said]
    assert refused[0] < 0.05
    assert refused[1] > 0.9


def test_a_recording_in_memory_is_heard_like_one_on_disk(trained):
    _, folder, table = trained
    file = f"{table.attrs['folder']}/{table['path'][0]}"
    predictor = predict.Predictor(folder)
    with open(file, "rb") as opened:
        assert predictor.hear(io.BytesIO(opened.read())) == predictor.hear(file)
    heard = predictor.hear(file)
    assert list(heard) == ["emotion", "probabilities", "warnings"]
    assert sum(heard["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert max(heard["probabilities"], key=heard["probabilities"].get) == heard["emotion"]


def test_a_bundle_that_fails_its_self_test_is_refused(trained, tmp_path):
    _, folder, _ = trained
    contract = bundle.read(folder)
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    golden = msgspec.structs.replace(contract.golden, probabilities=tuple(reversed(contract.golden.probabilities)))
    saving._write_contract(tmp_path, msgspec.structs.replace(contract, golden=golden))
    with pytest.raises(ValueError, match="fails its self-test"):
        predict.Predictor(tmp_path)
    silent = msgspec.structs.replace(golden, wav_base64=base64.b64encode(b"").decode())
    saving._write_contract(tmp_path, msgspec.structs.replace(contract, golden=silent))
    with pytest.raises(ValueError, match="cannot read its golden input .the recording is empty"):
        predict.Predictor(tmp_path)


def test_an_array_with_its_rate_bytes_and_open_files_are_heard_like_the_file(trained):
    _, folder, table = trained
    file, predictor = f"{table.attrs['folder']}/{table['path'][0]}", predict.Predictor(folder)
    expected, sr = predictor.hear(file), audio.header(file).sample_rate_hz
    with open(file, "rb") as opened:
        content = opened.read()
        for source in (opened, content, bytearray(content), io.BytesIO(content)):
            assert predictor.hear(source) == expected
    signal = audio.load(file, sr)
    for array in (signal, signal.astype(np.float64)):
        assert predictor.hear(array, sr) == expected


@pytest.mark.parametrize(
    ("source", "sr", "kind", "message"),
    [
        (np.zeros(9), None, ValueError, r"the signal's rate is None; expected a whole number .*hear\(signal, sr\)"),
        (np.zeros((2, 9)), 16000, ValueError, r"the signal has shape \(2, 9\); expected \(n_samples,\), mono"),
        (np.zeros(0), 16000, ValueError, r"the signal has shape \(0,\)"),
        (np.zeros(9, np.int16), 16000, ValueError, "samples of type int16; expected floats in .*32768"),
        (np.full(9, np.nan), 16000, ValueError, "not finite numbers, or far too large"),
        (np.zeros(9), 16, ValueError, "the signal's rate is 16; expected a whole number from 4,000"),
        (np.zeros(2_000_000), 8000, ValueError, "the signal lasts 250 s; expected one utterance"),
        ([0.0, 0.1], 16000, TypeError, r"the recording is a list; expected a path, .* an array of samples"),
        (None, None, TypeError, "the recording is a NoneType"),
        (io.StringIO("text"), None, TypeError, "open as text; expected bytes. Open it with mode 'rb'"),
        ("a.wav", 16000, ValueError, "a rate of 16000 Hz is given for a file, which has its own"),
        (b"", None, ValueError, "the recording is empty"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(trained, source, sr, kind, message):
    with pytest.raises(kind, match=message) as found:
        predict.Predictor(trained[1]).hear(source, sr)
    assert "\n" not in str(found.value)


def test_whatever_looks_like_sound_in_a_folder_is_answered_or_named(trained, tmp_path):
    _, folder, table = trained
    good = index.root_of(table) / table["path"][0]
    (tmp_path / "a.wav").write_bytes(good.read_bytes())
    for name, start in {
        "b.m4a": b"\0\0\0 ftypM4A ",
        "c.amr": b"#!AMR\n",
        "d.webm": b"\x1aE\xdf\xa3",
        "e.opus": b"",
    }.items():
        (tmp_path / name).write_bytes(start)
    (tmp_path / "notes.txt").write_text("no sound")
    answers = predict.predict(tmp_path, folder)
    assert [path.rsplit("/", 1)[1] for path in answers["path"]] == ["a.wav", "b.m4a", "c.amr", "d.webm", "e.opus"]
    assert list(answers["error"] == "") == [True, False, False, False, False]
    for error, what in zip(answers["error"][1:4], ("MPEG-4", "AMR", "WebM or Matroska"), strict=True):
        assert f"is {what} that " in error
        assert error.endswith("Export it again, as WAV")


@pytest.fixture(scope="module")
def talk(trained):
    """Nine sentences with a pause after the fifth: the signal at 16 kHz, and the model that hears it."""
    said = [synthetic.speech(emotion, "03", gender="male", sr=16000) for emotion in ["anger"] * 5 + ["sadness"] * 4]
    said.insert(5, np.zeros(16000 * 5, np.float32))
    return np.concatenate(said), predict.Predictor(trained[1])


def test_a_window_is_heard_as_if_it_were_cut_out_and_pauses_are_left_out(talk):
    signal, predictor = talk
    heard = predict.windows(signal, predictor, 16000)
    assert list(heard) == ["start_s", "end_s", "emotion", *(f"p_{e}" for e in predictor.contract.emotions), "warnings"]
    speech_s = [0.0, len(signal) / 16000]
    pause_s = [np.flatnonzero(signal == 0)[k] / 16000 for k in (0, -1)]
    for row in heard.to_dict("records"):
        alone = predictor.hear(signal[round(row["start_s"] * 16000) : round(row["end_s"] * 16000)], 16000)
        assert alone["emotion"] == row["emotion"]
        p = [row[f"p_{emotion}"] for emotion in alone["probabilities"]]
        np.testing.assert_allclose(p, list(alone["probabilities"].values()), atol=2e-3)  # resampled from its edges
        assert row["end_s"] - row["start_s"] == 3 or row["end_s"] == pytest.approx(speech_s[1], abs=0.01)
        assert not (pause_s[0] <= row["start_s"] and row["end_s"] <= pause_s[1]), "it is a pause"
    starts = set(heard["start_s"])
    assert {0.0, 1.0, 2.0} <= starts
    assert not starts & set(np.arange(np.ceil(pause_s[0]), pause_s[1] - 3))


def test_arrays_files_and_streams_are_heard_alike(talk, tmp_path):
    signal, predictor = talk
    expected = predict.windows(signal, predictor, 16000)
    soundfile.write(tmp_path / "a.wav", signal, 16000, subtype="FLOAT")
    chunks = np.array_split(signal, 57)
    for heard in (
        predict.windows(tmp_path / "a.wav", predictor),
        predict.windows((tmp_path / "a.wav").read_bytes(), predictor),
        predict.windows(chunks, predictor, 16000, n_jobs=1),
    ):
        pd.testing.assert_frame_equal(heard, expected)


def test_a_stream_is_answered_as_it_comes_and_not_kept(talk):
    signal, predictor = talk
    pulled = []

    def microphone():
        for k in range(10_000):
            pulled.append(k)
            yield signal[16000 * (k % 4) :][:16000]  # a second

    answers = predictor.hear_windows(microphone(), 16000, n_jobs=1)
    for n in range(1, 6):
        next(answers)
        assert len(pulled) <= 3 + n + 1


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_whoever_has_heard_enough_may_leave(talk, monkeypatch, n_jobs):
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")
    signal, predictor = talk
    answers = predictor.hear_windows(signal, 16000, n_jobs=n_jobs)
    first = [next(answers), next(answers)]
    answers.close()  # warnings are errors here
    assert first == list(predictor.hear_windows(signal, 16000, n_jobs=1))[:2]


def test_what_is_left_at_the_end_is_heard_unless_it_is_hardly_anything(talk):
    signal, predictor = talk
    for seconds, expected in ((0.7, [(0, 0.7)]), (3.0, [(0, 3)]), (3.4, [(0, 3)]), (3.8, [(0, 3), (1, 3.8)])):
        heard = predict.windows(signal[: round(16000 * seconds)], predictor, 16000)
        assert list(zip(heard["start_s"], heard["end_s"], strict=True)) == [pytest.approx(row) for row in expected]
    assert len(predict.windows(np.zeros(16000 * 9), predictor, 16000)) == 0


@pytest.mark.parametrize(
    ("source", "sr", "how", "message"),
    [
        ("gone.wav", None, {}, "gone.wav does not exist"),
        ([np.zeros((9, 2))], 16000, {}, r"the signal has shape \(9, 2\); expected"),
        ([b"no samples"], 16000, {}, "the signal is a bytes; expected an array"),
        ([np.zeros(9)], None, {}, "the signal's rate is None; expected"),
        (np.full(9, np.nan), 16000, {}, "not finite"),
        (b"no sound", None, {}, "the recording is text"),
        (b"no sound", 16000, {}, "a rate of 16000 Hz is given for a file"),
        (np.zeros(9), 16000, {"hop_s": 0}, "windows of 3.0 s every 0 s are none; expected a hop"),
        (np.zeros(9), 16000, {"window_s": 1, "hop_s": 2}, "windows of 1 s every 2 s are none"),
    ],
)
def test_what_has_no_windows_is_refused_in_one_line(talk, source, sr, how, message):
    with pytest.raises((ValueError, TypeError, FileNotFoundError), match=message) as found:
        predict.windows(source, talk[1], sr, **how)
    assert "\n" not in str(found.value)


def test_some_sentences_of_a_voice_move_the_others_to_where_the_model_was_trained(calibratable, emodb):
    model, predictor, _ = calibratable
    rows = emodb[emodb["speaker"] == "emodb/03"][:6]
    paths = [f"{emodb.attrs['folder']}/{path}" for path in rows["path"]]
    X = np.stack([features.from_file(path, features=predictor.contract.kind) for path in paths])
    before = predictor.hear(paths[5])
    calibrated = predictor.calibrated(paths[:3])
    shift = 3 / 5 * (predictor.contract.voice.mean() - X[:3].mean(axis=0))
    expected = model.predict_proba(X[5:] + shift)[0]
    said = calibrated.hear(paths[5])["probabilities"]
    np.testing.assert_allclose(list(said.values()), expected, atol=1e-3)
    assert np.abs(np.array(list(before["probabilities"].values())) - expected).max() > 0.01, "it makes a difference"
    assert predictor.hear(paths[5]) == before, "the model for everybody is as it was"
    signals = [audio.load(path, 16000) for path in paths[:3]]
    heard = predictor.calibrated(signals, 16000).hear(paths[5])["probabilities"]
    np.testing.assert_allclose(list(heard.values()), list(said.values()), atol=2e-3)
    assert predict.windows(paths[5], calibrated)["emotion"].tolist() == [calibrated.hear(paths[5])["emotion"]]


def test_what_cannot_be_calibrated_is_said(calibratable, trained, tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    with pytest.raises(ValueError, match="the model of emodb cannot be calibrated; expected one for strangers"):
        predict.Predictor(trained[1]).calibrated([tmp_path / "a.wav"])
    with pytest.raises(ValueError, match="no recording to calibrate to is given"):
        calibratable[1].calibrated([])
    with pytest.raises(ValueError, match="a.wav is text"):
        calibratable[1].calibrated([tmp_path / "a.wav"])


@pytest.mark.corpus
@pytest.mark.weights
def test_strangers_are_understood_after_six_sentences_of_theirs(published_weights, monkeypatch):
    """Both women of TESS, which the model never heard: one word in each of six moods, then four others."""
    monkeypatch.setenv("SERLIB_WEIGHTS", str(published_weights))
    table, predictor = index.scan(real("tess"), "tess"), predict.Predictor("strangers")
    table = table[table["emotion"].isin(predictor.contract.emotions)]
    table = table.assign(path=[f"{table.attrs['folder']}/{path}" for path in table["path"]])
    words = sorted(table["sentence"].unique())
    for _, rows in table.groupby("speaker"):
        calibrated = predictor.calibrated(rows.loc[rows["sentence"] == words[0], "path"].tolist())
        others = rows[rows["sentence"].isin(words[2:6])]
        said = predict.predict(others["path"], calibrated)
        assert len(said) == 24
        assert (said["emotion"].to_numpy() == others["emotion"].to_numpy()).mean() >= 0.6
        assert not said["warnings"].explode().str.startswith(predict.UNFAMILIAR).any()


def test_a_voice_is_centred_as_by_hand():
    X = np.array([[0, 0], [2, 4], [10, 10]], np.float32)
    speakers = ["b", "b", "a"]  # means (1, 2) and (10, 10), of both (5.5, 6)
    voice = bundle.VoiceCentre.of(X, speakers, weight=1)
    np.testing.assert_allclose(voice.mean(), [5.5, 6])
    np.testing.assert_allclose(voice.shift(X[:0]), [0, 0])
    np.testing.assert_allclose(voice.shift(X[2:]), [-2.25, -2])  # half of the way
    np.testing.assert_allclose(voice.shift(np.repeat(X[2:], 9, axis=0)), [-4.05, -3.6])


def test_a_voice_from_afar_is_unfamiliar_until_it_is_known_from_there(calibratable, emodb):
    _, predictor, _ = calibratable
    paths = [index.root_of(emodb) / path for path in emodb.loc[emodb["speaker"] == "emodb/03", "path"][:12]]
    kind, rng = predictor.contract.kind, np.random.default_rng(0)
    room = {"reverberation_s": 0.8, "direct_db": -6, "noise_db": 15}
    near = [audio.load(path, kind.sr) for path in paths]
    far = [audio.in_room(signal, kind.sr, rng=rng, **room) for signal in near]
    vectors = [np.stack([features.apply(kind, signal) for signal in signals]) for signals in (near, far)]
    detector = bundle.DistanceDetector.fit(*vectors)
    detector.check(50)
    assert not detector.is_far(vectors[0]).any()
    assert detector.is_far(vectors[1]).all()
    listening = copy.copy(predictor)
    wide = msgspec.structs.replace(predictor.contract.novelty, threshold=1e6)
    listening.contract = msgspec.structs.replace(predictor.contract, distance=detector, novelty=wide)
    assert listening.hear(near[0], kind.sr)["warnings"] == []
    (said,) = listening.hear(far[0], kind.sr)["warnings"]
    assert said.startswith("unfamiliar: the voice sounds far off, or drowned in noise; go close to the microphone")
    known = listening.calibrated(far[1:], kind.sr)
    assert known.hear(far[0], kind.sr)["warnings"] == []


def test_a_damaged_distance_detector_is_refused():
    detector = bundle.DistanceDetector.fit(np.zeros((3, 2), np.float32), np.ones((3, 2), np.float32))
    detector.check(2)
    bad = [msgspec.structs.replace(detector, **{k: v}) for k, v in (("weights_base64", "?"), ("bias", float("nan")))]
    for one, n in ((detector, 3), *((one, 2) for one in bad)):
        with pytest.raises(ValueError, match=f"its distance detector does not hold the numbers for {n} features"):
            one.check(n)


def test_an_empty_folder_is_refused(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no sound file"):
        predict.predict(tmp_path, trained[1])


def test_many_recordings_are_heard_in_processes_and_told_in_order(trained, tmp_path, monkeypatch):
    _, folder, table = trained
    monkeypatch.setattr(extraction, "CHUNK", 5)
    monkeypatch.setattr(extraction, "PROCESSES_PAY", 1)
    (tmp_path / "b.wav").write_text("no sound")
    paths = [f"{table.attrs['folder']}/{path}" for path in table["path"][:20]]
    paths.insert(7, str(tmp_path / "b.wav"))
    predictor = predict.Predictor(folder)
    said = predictor.hear_all(paths, n_jobs=2)
    assert [one["path"] for one in said] == paths
    assert "is text" in said[7].pop("error")
    for path, one in zip(paths, said, strict=True):
        assert one == {"path": path} | (predictor.hear(path) if path != paths[7] else {})


def test_a_recording_is_predicted_without_what_takes_long_to_import(trained):
    _, folder, table = trained
    code = (
        "import sys; from serlib import cli; sys.argv = ['serlib', 'predict', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "finally: print(sorted({'tensorflow', 'keras', 'numba', 'librosa', 'pandas', 'sklearn', 'scipy.signal',"
        " 'joblib', 'matplotlib'} & set(sys.modules)))"
    )
    file = f"{table.attrs['folder']}/{table['path'][0]}"
    command = [sys.executable, "-c", code, "-m", str(folder), file]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "probabilities" in done.stdout
