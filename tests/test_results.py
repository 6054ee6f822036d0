import gzip
import hashlib
import json

import pandas as pd
import pytest

from serlib import metrics, models, results


def test_a_result_is_read_back_as_it_was_written(predictions, tmp_path):
    history = pd.DataFrame([(0, 1, 0.5, 0.5, 0.6, 0.4)], columns=models.HISTORY_COLUMNS)
    result = results.Result(predictions, predictions[::3], history, {"validation": "test", "epochs": 1})
    for name in ("seed-42.csv.gz", "mine.csv"):
        results.write(result, tmp_path / name)
        back = results.read(tmp_path / name)
        pd.testing.assert_frame_equal(back.predictions, predictions, atol=5e-5, check_dtype=False)
        expected = predictions[::3].reset_index(drop=True)
        pd.testing.assert_frame_equal(back.validated, expected, atol=5e-5, check_dtype=False)
        pd.testing.assert_frame_equal(back.history, history)
        assert back.about["uar"] == metrics.summary(predictions)["uar"]
        assert back.about["validation"] == "test"
    first = (tmp_path / "seed-42.csv.gz").read_bytes()
    results.write(result, tmp_path / "seed-42.csv.gz")
    assert (tmp_path / "seed-42.csv.gz").read_bytes() == first
    with pytest.raises(FileNotFoundError, match="none.csv.gz does not exist; make it with 'python -m serlib evaluate'"):
        results.read(tmp_path / "none.csv.gz")
    (tmp_path / "mine.validated.csv.gz").unlink()
    with pytest.raises(FileNotFoundError, match="mine.validated.csv.gz does not exist"):
        results.read(tmp_path / "mine.csv")


@pytest.fixture
def stored(predictions, tmp_path):
    """A result, as it is stored: the predictions table."""
    history = pd.DataFrame([[0, 1, 0.5, 0.5, None, None]], columns=models.HISTORY_COLUMNS)
    file = tmp_path / "emodb" / "speakers" / "paper" / "seed-42.csv.gz"
    results.write(results.Result(predictions, predictions[:0], history, {}), file)
    return file


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("seed-42.csv.gz", b"", "seed-42.csv.gz, line 1: the column 'utterance' is missing"),
        ("seed-42.validated.csv.gz", b"", "seed-42.validated.csv.gz, line 1: the column 'utterance' is missing"),
        ("seed-42.history.csv.gz", b"", "seed-42.history.csv.gz is not a CSV table"),
        ("seed-42.csv.gz", b"no gzip", "seed-42.csv.gz is not text in UTF-8"),
        (
            "seed-42.csv.gz",
            gzip.compress(b"a\n1\n", mtime=0),
            "seed-42.csv.gz, line 1: the column 'utterance' is missing; expected utterance,corpus,.*; evaluate again",
        ),
        ("seed-42.csv.gz", gzip.compress(bytes(10**8), mtime=0), "seed-42.csv.gz has more than 67,108,864 characters"),
        (
            "seed-42.history.csv.gz",
            gzip.compress(b"a" * 99, mtime=0)[:-9],
            "seed-42.history.csv.gz is not text in UTF-8",
        ),
        ("seed-42.json", b"[]", "seed-42.json does not describe a result"),
        ("seed-42.json", b"[" * 9999, "seed-42.json is not JSON"),
        ("seed-42.json", b"\xff", "seed-42.json is not text in UTF-8"),
    ],
)
def test_a_damaged_result_is_named(stored, name, content, message):
    (stored.parent / name).write_bytes(content)
    about = json.loads((stored.parent / "seed-42.json").read_text()) if name != "seed-42.json" else None
    if about:  # a table whose checksum is right
        about["sha256"][name] = hashlib.sha256(content).hexdigest()
        (stored.parent / "seed-42.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=message):
        results.read(stored)
    if name.endswith(".json"):
        with pytest.raises(ValueError, match=message):
            results.stored(stored.parents[3])


def test_a_table_that_its_sidecar_does_not_describe_is_named(stored):
    content = gzip.decompress(stored.read_bytes()).replace(b"anger", b"fears")
    stored.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=r"seed-42.csv.gz is not the file that seed-42.json describes; evaluate again"):
        results.read(stored)


def test_a_place_that_would_lose_something_is_refused_before_any_work(tmp_path):
    (tmp_path / "mine.json").write_text('{"mine": 1}')
    with pytest.raises(ValueError, match=r"mine.json is not serlib's, and would be replaced; nothing was written"):
        results.refuse_place(tmp_path / "mine.csv")
    with pytest.raises(ValueError, match="is not the name of a table"):
        results.refuse_place(tmp_path / "mine.txt")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder.csv is a folder"):
        results.refuse_place(tmp_path / "folder.csv")
