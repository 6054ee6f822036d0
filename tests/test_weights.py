import numpy as np
import pytest

import encoders
from serlib import cache, weights


def test_the_cut_file_holds_the_stem_and_four_layers_and_nothing_else(tmp_path):
    variables = encoders.arrays()
    (tmp_path / "model.bin").write_bytes(encoders.container({"z": np.int32([[7]]), **variables}))
    cut = weights.cut(tmp_path / "model.bin", tmp_path / "cut.bin")
    used = [
        name for name in variables if name.startswith("encoder/") and "layer_4" not in name and "layer_5" not in name
    ]
    used = [name for name in used if not name.startswith("encoder/layer_norm")]
    read = weights.read(cut)
    assert list(read) == used
    for name, array in read.items():
        np.testing.assert_array_equal(array, variables[name])
        assert array.dtype == np.float32
    assert weights.read(tmp_path / "model.bin", lambda name: name == "z")["z"].tolist() == [[7]]
    assert weights.cut(cut, tmp_path / "again.bin").read_bytes() == cut.read_bytes()


def test_weights_are_found_by_their_content_whatever_they_are_called(tmp_path, monkeypatch):
    whole = encoders.publish(monkeypatch, tmp_path)
    with pytest.raises(
        FileNotFoundError, match="weights of whisper-base are not in .*python -m serlib download whisper-base"
    ):
        weights.find("whisper-base")
    (tmp_path / "snapshots" / "a").mkdir(parents=True)
    (tmp_path / "snapshots" / "a" / "blob").write_bytes(whole)
    cut = weights.find("whisper-base")
    assert cut.parent == tmp_path / "snapshots" / "a"
    assert cut.stat().st_size < len(whole)
    (tmp_path / "snapshots" / "a" / "blob").unlink()
    elsewhere = cut.rename(tmp_path / "renamed")
    assert weights.find("whisper-base") == elsewhere


def test_what_is_cut_lies_in_the_cache_where_the_folder_takes_nothing(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    whole = encoders.publish(monkeypatch, shared)
    (shared / "model.bin").write_bytes(whole)
    monkeypatch.setenv("SERLIB_CACHE", str(tmp_path / "cache"))
    write = weights.cut

    def refuse(file, target):
        if target.parent == shared:
            raise PermissionError("Permission denied")
        return write(file, target)

    monkeypatch.setattr(weights, "cut", refuse)
    cut = weights.find("whisper-base")
    assert cut.parent == tmp_path / "cache" / "weights"
    monkeypatch.setattr(weights, "cut", None)  # the second time, it is there
    assert weights.find("whisper-base") == cut


@pytest.mark.parametrize("which", ["whole", "cut"])
def test_a_changed_or_truncated_file_is_not_taken(tmp_path, monkeypatch, which):
    whole = encoders.publish(monkeypatch, tmp_path)
    file = tmp_path / "model.bin"
    file.write_bytes(whole)
    if which == "cut":
        cut = weights.find("whisper-base")
        file.unlink()
        file = cut
    content = file.read_bytes()
    for broken in (content[:-1], content[:-1] + bytes([content[-1] ^ 1])):
        file.write_bytes(broken)
        with pytest.raises(FileNotFoundError, match="the weights of whisper-base are not in"):
            weights.find("whisper-base")


def test_the_message_says_what_to_run_how_large_it_is_and_its_licence(tmp_path, monkeypatch):
    monkeypatch.setenv("SERLIB_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(
        FileNotFoundError, match=r"145 MB, licence MIT \(OpenAI\)\. Fetch them with 'python -m serlib download"
    ):
        weights.find("whisper-base")


@pytest.mark.weights
def test_the_published_file_is_cut_to_the_pinned_one(tmp_path, published_weights):
    known = weights.KNOWN["whisper-base"]
    files = [file for file in published_weights.rglob("*") if file.is_file()]
    whole = [file for file in files if file.stat().st_size == known.n_bytes]
    if not whole:
        pytest.skip("only the file of the first layers is here, not the whole one")
    cut = weights.cut(whole[0], tmp_path / "cut")
    assert (cut.stat().st_size, cache.content_hash(cut)) == (known.cut_bytes, known.cut_sha256)
