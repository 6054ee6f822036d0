import shutil
import sys

import audformat
import pandas as pd
import pytest

from serlib import audio, corpora, index, interchange, split

# audformat 1.4.3 sets the index of what it reads from CSV in place, which pandas 3.1 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.set_index is deprecated")
NOT_EXCHANGED = ["sentence", "take", "intensity"]


@pytest.fixture
def copied(emodb, tmp_path):
    """A copy of synthetic EMODB, to write into, and its index table."""
    folder = shutil.copytree(emodb.attrs["folder"], tmp_path / "EMODB")
    return folder, index.scan(folder, "emodb")


@pytest.fixture
def database(tmp_path):
    """A database as audEERING makes them: German words, speakers in a table of files, ages in their scheme."""
    folder = tmp_path / "database"
    paths = [f"wav/{name}.wav" for name in ("03a01Fa", "03a01Nc", "08a01Wa", "08a02La")]
    for number, path in enumerate(paths):
        audio.write(folder / path, pd.Series([0.1, -0.1, number / 10] * 300).to_numpy("float32"), 16000)
    db = audformat.Database("berlin-words", source="a school")
    db.schemes["emotion"] = audformat.Scheme(labels=["Freude", "neutral", "Wut", "Langeweile"])
    known = {3: {"gender": "male", "age": 31}, 8: {"gender": "female", "age": 34}}
    db.schemes["speaker"] = audformat.Scheme(labels=known)
    db["files"] = audformat.Table(audformat.filewise_index(paths))
    db["files"]["speaker"] = audformat.Column(scheme_id="speaker")
    db["files"]["speaker"].set([3, 3, 8, 8])
    db["emotion"] = audformat.Table(audformat.filewise_index(paths))
    db["emotion"]["emotion"] = audformat.Column(scheme_id="emotion")
    db["emotion"]["emotion"].set(["Freude", "neutral", "Wut", None])
    db.save(str(folder))
    return folder, db


WORDS = {"Freude": "happiness", "Wut": "anger", "Langeweile": "boredom"}


def test_audformat_loads_what_was_written(copied):
    folder, table = copied
    interchange.to_audformat(table, folder)
    db = audformat.Database.load(str(folder))
    assert db.name == "emodb"
    assert list(db) == ["emotion", "emotion.test", "emotion.train", "files"]
    emotion = table.set_index("path")["emotion"]
    assert db["emotion"].df["emotion"].astype(str).to_dict() == emotion.to_dict()
    assert db.schemes["emotion"].labels == list(corpora.get("emodb").emotions)
    for part in ("train", "test"):
        rows = table[table["part"] == part].set_index("path")["emotion"]
        assert db[f"emotion.{part}"].df["emotion"].astype(str).to_dict() == rows.to_dict()
        assert db[f"emotion.{part}"].split.type == part
    files = db["files"].df
    assert [f"emodb/{speaker}" for speaker in files["speaker"]] == list(table["speaker"])
    assert list(files["duration"].dt.total_seconds().round(4)) == list(table["duration_s"])


def test_audformat_knows_who_speaks(copied):
    folder, table = copied
    interchange.to_audformat(table, folder)
    db = audformat.Database.load(str(folder))
    assert list(db["files"]["speaker"].get(map="gender")) == list(table["gender"])
    assert list(db["files"]["speaker"].get(map="age")) == list(table["age"])
    assert db.schemes["speaker"].labels["03"] == {"gender": "male", "age": 31}


def test_race_and_ethnicity_go_along(wavs, tmp_path):
    table = index.scan(wavs("1047_DFA_ANG_XX.wav", "1034_DFA_ANG_XX.wav"), "crema-d")
    db = interchange.to_audformat(table, tmp_path / "db")
    assert db.schemes["speaker"].labels["1047"] == {
        **{"gender": "female", "age": 22, "race": "Unknown", "ethnicity": "Hispanic"}
    }


def test_codes_stay_text(wavs, tmp_path):
    table = index.scan(wavs("Actor_01/03-01-01-01-02-01-01.wav", "Actor_02/03-01-02-01-01-02-02.wav"), "ravdess")
    interchange.to_audformat(table, tmp_path)
    files = audformat.Database.load(str(tmp_path))["files"].df
    assert files[["sentence", "take", "intensity"]].to_numpy().tolist() == [["02", "01", "01"], ["01", "02", "01"]]
    assert list(files["speaker"]) == ["01", "02"]


def test_a_database_says_where_it_comes_from_and_synthetic_speech_does_not_pretend(copied, wavs, tmp_path):
    made = interchange.to_audformat(copied[1], tmp_path / "made")
    assert (made.source, made.license, made.description) == ("synthetic speech in the manner of emodb", None, None)
    db = interchange.to_audformat(index.scan(wavs("03a01Fa.wav"), "emodb"), tmp_path / "real")
    assert db.source == "EMODB, Berlin Database of Emotional Speech"
    assert (db.languages, db.license) == (["deu"], corpora.get("emodb").licence)
    assert db.description.startswith("Burkhardt")


def test_what_has_no_label_in_a_version_has_none_in_the_database(wavs, tmp_path):
    root = wavs(*(f"{name}.wav" for name in ("1001_DFA_ANG_XX", "1001_IEO_ANG_MD", "1001_IEO_HAP_LO")))
    table = index.scan(root, "crema-d", label_version="perceived", keep_flagged=True)
    interchange.to_audformat(table, tmp_path / "db")
    db = audformat.Database.load(str(tmp_path / "db"))
    assert db["emotion"].df["emotion"].to_dict() == {"1001_DFA_ANG_XX.wav": "anger", "1001_IEO_HAP_LO.wav": "neutral"}
    assert len(db["emotion.train"]) + len(db["emotion.test"]) == 2
    assert list(db["files"].df["flags"].fillna("")) == ["", "unlabelled", ""]


@pytest.mark.parametrize("corpus", ["emodb", "ravdess", "crema-d", "shemo"])
def test_there_and_back_a_table_is_the_same(made, corpus, tmp_path):
    folder = shutil.copytree(made[corpus], tmp_path / corpus)
    table = index.scan(folder, corpus)
    interchange.to_audformat(table, folder)
    back = interchange.from_audformat(folder)
    pd.testing.assert_frame_equal(back.drop(columns=NOT_EXCHANGED), table.drop(columns=NOT_EXCHANGED))
    for name in ("corpus", "folder", "listing", "synthetic", "seed", "problems"):
        assert back.attrs[name] == table.attrs[name]
    assert (interchange.from_audformat(folder, seed=7)["part"] == back["part"]).all(), "its splits are kept"


def test_files_that_only_their_folders_tell_apart_stay_apart(made, tmp_path):
    table = index.scan(made["savee"], "savee")
    interchange.to_audformat(table, tmp_path)
    back = interchange.from_audformat(tmp_path, media=made["savee"])
    assert len(back) == 63
    both = table.merge(back, on="path", suffixes=("", "_back"))
    assert (both["speaker"] == both["speaker_back"]).all()
    assert (both["emotion"] == both["emotion_back"]).all()
    assert back["utterance"].str.match("savee/AudioData/(DC|JE|JK|KL)/").all()


def test_a_corpus_of_ones_own_with_nothing_known_of_speakers_goes_there_and_back(wavs):
    root = wavs("a.wav", "b.wav")
    (root / "utterances.csv").write_text("path,emotion,speaker\na.wav,anger,Ann\nb.wav,fear,Ben\n")
    table = index.scan(root)
    interchange.to_audformat(table, root)
    db = audformat.Database.load(str(root))
    assert (db.name, db.source, db.license) == ("corpus", "corpus", None)
    back = interchange.from_audformat(root)
    pd.testing.assert_frame_equal(back.drop(columns=NOT_EXCHANGED), table.drop(columns=NOT_EXCHANGED))


def test_a_database_of_others_is_read_with_its_words_translated(database):
    folder, _ = database
    table = interchange.from_audformat(folder, emotions=WORDS)
    columns = ["utterance", "speaker", "gender", "age", "emotion"]
    assert table[columns].to_numpy().tolist() == [
        ["berlin-words/03a01Fa", "berlin-words/3", "male", 31, "happiness"],
        ["berlin-words/03a01Nc", "berlin-words/3", "male", 31, "neutral"],
        ["berlin-words/08a01Wa", "berlin-words/8", "female", 34, "anger"],
    ]
    assert [len(test) for _, _, test in split.loso(table)] == [2, 1]
    (problem,) = table.attrs["problems"]
    assert "not named" in problem
    assert "08a02La.wav" in problem


def test_the_splits_of_a_database_are_kept_if_they_hold_every_file(database):
    folder, db = database
    files = list(db["emotion"].index)
    for name, kind, held in (("a", "train", files[:1]), ("b", "dev", files[1:2]), ("c", "test", files[2:3])):
        db.splits[name] = audformat.Split(kind)
        db[f"emotion.{name}"] = audformat.Table(audformat.filewise_index(held), split_id=name)
    db.save(str(folder))
    table = interchange.from_audformat(folder, emotions=WORDS)
    assert table["part"].tolist() == ["train", "validation", "test"]
    interchange.to_audformat(table, folder)
    again = audformat.Database.load(str(folder))
    assert {name: split.type for name, split in again.splits.items()} == {
        "train": "train",
        "dev": "dev",
        "test": "test",
    }
    assert interchange.from_audformat(folder)["part"].tolist() == ["train", "validation", "test"]

    db.drop_tables("emotion.c")
    db.save(str(folder))
    table = interchange.from_audformat(folder, emotions=WORDS, seed=3)
    assert set(table["part"]) <= {"train", "test"}
    assert table.attrs["protocol"] == "random"


def test_recordings_may_lie_elsewhere(database, tmp_path):
    folder, _ = database
    (folder / "wav").rename(tmp_path / "wav")
    assert len(interchange.from_audformat(folder, media=tmp_path, emotions=WORDS)) == 3
    with pytest.raises(ValueError, match="database holds no utterance of berlin-words"):
        interchange.from_audformat(folder, emotions=WORDS)
    (tmp_path / "wav" / "03a01Nc.wav").unlink()
    problems = interchange.from_audformat(folder, media=tmp_path, emotions=WORDS).attrs["problems"]
    assert any("1 missing: 'wav/03a01Nc.wav'" in line for line in problems)


def test_speakers_may_stand_in_several_tables_and_those_beside_the_emotion_go_first(database):
    folder, db = database
    files = db["files"].df["speaker"].astype(int)
    db.drop_tables("files")
    for name, rows in (("a", files.iloc[:2] + 5), ("b", files.iloc[1:])):
        db[name] = audformat.Table(rows.index)
        db[name]["speaker"] = audformat.Column()
        db[name]["speaker"].set(rows.to_numpy())
    db.save(str(folder))
    speakers = interchange.from_audformat(folder, emotions=WORDS)["speaker"]
    assert list(speakers) == ["berlin-words/8", "berlin-words/8", "berlin-words/8"]
    db["emotion"]["speaker"] = audformat.Column()
    db["emotion"]["speaker"].set([3, 3, 8, 8])
    db.save(str(folder))
    speakers = interchange.from_audformat(folder, emotions=WORDS)["speaker"]
    assert list(speakers) == ["berlin-words/3", "berlin-words/3", "berlin-words/8"]


def test_speakers_may_be_described_in_a_table_of_their_own(database):
    folder, db = database
    db["speaker"] = audformat.MiscTable(pd.Index([3, 8], dtype="Int64", name="speaker"))
    for name, values in (("gender", ["male", None]), ("age", [31, None]), ("race", [None, "Asian"])):
        db.schemes[name] = audformat.Scheme(labels=[value for value in values if value])
        db["speaker"][name] = audformat.Column(scheme_id=name)
        db["speaker"][name].set(values)
    db.schemes["speaker"] = audformat.Scheme("int", labels="speaker")
    db.save(str(folder))
    table = interchange.from_audformat(folder, emotions=WORDS)
    assert list(table["gender"]) == ["male", "male", ""]
    assert list(table["age"].astype(object)) == [31, 31, pd.NA]
    assert list(table["race"]) == ["", "", "Asian"]


def test_genders_that_an_index_has_no_place_for_are_left_out_and_ages_are_whole_years(database):
    folder, db = database
    known = {3: {"gender": "other", "age": 31.5}, 8: {"gender": "child", "age": "8 years"}}
    db.schemes["speaker"].replace_labels(known)
    db.save(str(folder))
    table = interchange.from_audformat(folder, emotions=WORDS)
    assert set(table["gender"]) == {""}
    assert list(table["age"].astype(object)) == [31, 31, pd.NA]
    assert split.speakers(table).n_folds == 2


@pytest.mark.parametrize("age", [float("inf"), -1, 1e30, 151])
def test_what_is_no_age_is_left_out(database, age):
    folder, db = database
    db.schemes["speaker"].replace_labels({3: {"age": age}, 8: {"age": 34}})
    db.save(str(folder))
    table = interchange.from_audformat(folder, emotions=WORDS)
    assert list(table["age"].astype(object)) == [pd.NA, pd.NA, 34]


def test_a_database_whose_name_is_a_path_is_refused(database):
    folder, db = database
    db.name = "../../words"
    db.save(str(folder))
    with pytest.raises(ValueError, match=r"database is called '../../words'; expected letters, digits, '.', '-'"):
        interchange.from_audformat(folder, emotions=WORDS)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("source: a school\n", ""),
        ("scheme_id: emotion", "scheme_id: nothing"),
        ("schemes:\n", "schemes: []\nothers:\n"),
    ],
)
def test_a_database_that_says_what_none_says_is_one_line(database, old, new):
    file = database[0] / "db.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(
        ValueError, match=r"^[^\n]*database is no audformat database that can be read \(.*\); get it again$"
    ):
        interchange.from_audformat(database[0], emotions=WORDS)


def test_tables_that_are_large_when_unpacked_are_refused_before(database):
    folder = database[0]
    rows = pd.DataFrame({"file": ["wav/03a01Fa.wav"] * 3_000_000, "emotion": "Wut"})
    rows.to_parquet(folder / "db.emotion.parquet")
    with pytest.raises(ValueError, match=r"db.emotion.parquet has 3,000,000 lines of 2 columns; expected at most"):
        interchange.from_audformat(folder, emotions=WORDS)
    (folder / "db.emotion.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"db.emotion.parquet is no Parquet table \(.*\); get it again"):
        interchange.from_audformat(folder, emotions=WORDS)
    (folder / "db.emotion.parquet").unlink()
    (folder / "db.emotion.csv").write_text("file" + "," * 20_000)
    with pytest.raises(ValueError, match=r"db.emotion.csv has 0 lines of 20,001 columns; expected at most"):
        interchange.from_audformat(folder, emotions=WORDS)


def test_lists_within_lists_about_a_speaker_are_left_out(database):
    file = database[0] / "db.yaml"
    text = file.read_text()
    bomb = "\n".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}' if k else 'x'] * 9)}]" for k in range(9))
    assert text.count("age: 31") == 1
    file.write_text(f"{bomb}\n{text.replace('age: 31', 'race: *a8')}")
    table = interchange.from_audformat(database[0], emotions=WORDS)
    assert set(table["race"]) == {""}


def test_a_row_without_a_file_is_refused(database):
    folder, db = database
    (folder / "db.emotion.parquet").unlink()
    db.save(str(folder), storage_format="csv")
    file = folder / "db.emotion.csv"
    file.write_text(file.read_text().replace("wav/03a01Nc.wav", ""))
    with pytest.raises(ValueError, match="table 'emotion' has a row without a file; expected one in each. Mend it"):
        interchange.from_audformat(database[0], emotions=WORDS)


def test_another_table_may_hold_the_emotions(database):
    folder, db = database
    db["gold.standard"] = audformat.Table(db["emotion"].index[:2])
    db["gold.standard"]["emotion"] = audformat.Column()
    db["gold.standard"]["emotion"].set(["anger", "fear"])
    db.save(str(folder))
    table = interchange.from_audformat(folder, table="gold.standard")
    assert list(table["emotion"]) == ["anger", "fear"]


# Refusals


def test_without_audformat_the_command_that_installs_it_is_named(monkeypatch, tmp_path, copied):
    monkeypatch.setitem(sys.modules, "audformat", None)
    message = r"audformat is not installed; install it with pip install 'serlib\[audformat\]'"
    with pytest.raises(ImportError, match=message):
        interchange.from_audformat(tmp_path)
    with pytest.raises(ImportError, match=message):
        interchange.to_audformat(copied[1], tmp_path)


def test_a_folder_without_a_database_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere holds no db.yaml; expected an audformat database"):
        interchange.from_audformat(tmp_path / "nowhere")


def test_a_table_that_is_not_there_is_named_with_those_that_are(database):
    with pytest.raises(ValueError, match="has no table 'emotions'; use one of emotion, files"):
        interchange.from_audformat(database[0], table="emotions")


def test_a_table_without_emotions_or_of_parts_of_files_is_refused(database):
    folder, db = database
    db["parts"] = audformat.Table(audformat.segmented_index(["wav/03a01Fa.wav"], ["0s"], ["1s"]))
    db["none"] = audformat.Table(db["emotion"].index)
    for name, values in (("parts", ["anger"]), ("none", None)):
        db[name]["emotion"] = audformat.Column()
        if values:
            db[name]["emotion"].set(values)
    db.save(str(folder))
    for name in ("files", "parts", "none"):
        with pytest.raises(ValueError, match=f"table '{name}' gives no emotion to whole files; name another"):
            interchange.from_audformat(folder, table=name)


def test_an_unknown_emotion_is_named_with_the_known_ones(database):
    message = r"an emotion is 'Wut'; expected one of anger, .* in lower case. Translate it with emotions=\{...\}"
    with pytest.raises(ValueError, match=message):
        interchange.from_audformat(database[0], emotions={"Freude": "happiness"})
    with pytest.raises(ValueError, match=r"an emotion is 'joy'; expected 'happiness'"):
        interchange.from_audformat(database[0], emotions=WORDS | {"Freude": "joy"})


def test_files_without_a_speaker_are_refused(database):
    folder, db = database
    db["files"]["speaker"].set([None, 3, 8, 8])
    db.save(str(folder))
    with pytest.raises(ValueError, match="1 files have no speaker, such as 'wav/03a01Fa.wav'; without, no split ke"):
        interchange.from_audformat(folder, emotions=WORDS)
    db.drop_tables("files")
    db.save(str(folder))
    with pytest.raises(ValueError, match="3 files have no speaker"):
        interchange.from_audformat(folder, emotions=WORDS)
