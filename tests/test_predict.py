import dataclasses
import io
import subprocess
import sys

import numpy as np
import pytest
from conftest import real

from serlib import audio, corpora, evaluate, features, model, predict, split
from serlib.settings import RECIPES


@pytest.fixture(scope="module")
def trained(emodb, tmp_path_factory):
    """A model of synthetic EMODB: network, bundle's folder, index table."""
    folder = tmp_path_factory.mktemp("models") / "emodb-paper"
    parts, recipe = split.from_parts(emodb), RECIPES["paper"]
    X = np.stack(
        [
            features.from_file(f"{emodb.attrs['folder']}/{path}", features=recipe.features)
            for path in parts.table["path"]
        ]
    )
    fold = evaluate.fit_fold(parts, X, recipe=recipe, epochs=5)
    model.save(folder, fold.network, fold.history, evaluate.contract(fold, parts, X=X, recipe=recipe))
    return fold.network, folder, emodb


def test_prediction_says_what_the_trained_network_says(trained):
    network, bundle, table = trained
    paths = [f"{table.attrs['folder']}/{path}" for path in table["path"][:12]]
    said = predict.predict(paths, bundle)
    X = np.stack([features.from_file(path, features=RECIPES["paper"].features) for path in paths])
    expected = model.probabilities(network, X)
    emotions = corpora.get("emodb").emotions
    np.testing.assert_allclose(said[[f"p_{emotion}" for emotion in emotions]], expected, atol=1e-4)
    assert list(said["emotion"]) == [emotions[k] for k in expected.argmax(axis=1)]
    assert list(said["path"]) == paths
    assert (said["error"] == "").all()


def test_a_folder_means_every_recording_in_it(trained):
    _, bundle, table = trained
    said = predict.predict(table.attrs["folder"], bundle)
    assert len(said) == len(table)


def test_a_bad_file_does_not_stop_the_others(trained, tmp_path):
    _, bundle, table = trained
    (tmp_path / "a.wav").write_text("no sound")
    good = f"{table.attrs['folder']}/{table['path'][0]}"
    said = predict.predict([tmp_path / "a.wav", good, tmp_path / "gone.wav"], bundle)
    assert list(said["error"] == "") == [False, True, False]
    assert "is text (8 bytes)" in said["error"][0]
    assert "does not exist" in said["error"][2]
    assert said["emotion"][1]


def test_warnings_reach_the_table(trained, tmp_path):
    _, bundle, _ = trained
    audio.write(tmp_path / "silence.wav", np.zeros(16000, np.float32), 16000)
    (warnings,) = predict.predict(tmp_path / "silence.wav", bundle)["warnings"]
    assert warnings[0] == "silent: every sample is zero; see whether the microphone is muted"
    assert warnings[1].startswith("unfamiliar: unlike anything this model has heard (distance ")
    assert len(warnings) == 2


def test_what_is_unlike_the_training_part_is_called_unfamiliar(trained, tmp_path):
    _, bundle, table = trained
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16000).astype(np.float32)
    audio.write(tmp_path / "noise.wav", noise, 16000)
    (warnings,) = predict.predict(tmp_path / "noise.wav", bundle)["warnings"]
    assert [warning.split(":")[0] for warning in warnings] == [predict.UNFAMILIAR]
    tested = [f"{table.attrs['folder']}/{path}" for path in table.loc[table["part"] == "test", "path"]]
    refused = [bool(warnings) for warnings in predict.predict(tested, bundle)["warnings"]]
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
    _, bundle, table = trained
    file = f"{table.attrs['folder']}/{table['path'][0]}"
    predictor = predict.Predictor(bundle)
    with open(file, "rb") as opened:
        assert predictor.hear(io.BytesIO(opened.read())) == predictor.hear(file)
    heard = predictor.hear(file)
    assert list(heard) == ["emotion", "probabilities", "warnings"]
    assert sum(heard["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert max(heard["probabilities"], key=heard["probabilities"].get) == heard["emotion"]


def test_a_bundle_that_fails_its_self_test_is_refused(trained, tmp_path):
    _, bundle, _ = trained
    contract = model.read_contract(bundle)
    said = list(reversed(contract.golden["probabilities"]))
    for file in bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    model.write_contract(tmp_path, dataclasses.replace(contract, golden={**contract.golden, "probabilities": said}))
    with pytest.raises(ValueError, match="fails its self-test"):
        predict.Predictor(tmp_path)


def test_an_empty_folder_is_refused(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no sound file"):
        predict.predict(tmp_path, trained[1])


def test_many_recordings_are_heard_in_processes_and_told_in_order(trained, tmp_path, monkeypatch):
    _, bundle, table = trained
    monkeypatch.setattr(features, "CHUNK", 5)
    monkeypatch.setattr(features, "PROCESSES_PAY", 1)
    (tmp_path / "b.wav").write_text("no sound")
    paths = [f"{table.attrs['folder']}/{path}" for path in table["path"][:20]]
    paths.insert(7, str(tmp_path / "b.wav"))
    predictor = predict.Predictor(bundle)
    said = predictor.hear_all(paths, n_jobs=2)
    assert [one["path"] for one in said] == paths
    assert "is text" in said[7].pop("error")
    for path, one in zip(paths, said, strict=True):
        assert one == {"path": path} | (predictor.hear(path) if path != paths[7] else {})


def test_a_recording_is_predicted_without_what_takes_long_to_import(trained):
    _, bundle, table = trained
    code = (
        "import sys; from serlib import cli; sys.argv = ['serlib', 'predict', *sys.argv[1:]]\n"
        "try: cli.main()\n"
        "finally: print(sorted({'tensorflow', 'keras', 'numba', 'librosa', 'pandas', 'sklearn', 'scipy.signal',"
        " 'joblib', 'matplotlib'} & set(sys.modules)))"
    )
    file = f"{table.attrs['folder']}/{table['path'][0]}"
    command = [sys.executable, "-c", code, "-m", str(bundle), file]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "probabilities" in done.stdout
