import gzip
import json
import os

import pytest

from serlib import audit, index, split

# Real names of EMODB: 03a01Fa is by speaker 03, sentence a01, in happiness, take a. 08 is another speaker.
TRAIN = ["03a01Fa.wav", "03a02Wb.wav", "08b01Na.wav"]
APART = ["09a01Fa.wav", "10b10Wa.wav"]


@pytest.fixture
def lists(tmp_path):
    """A function that writes plain lists, `part=[names]`, and returns their files."""

    def write(**parts):
        for part, names in parts.items():
            (tmp_path / f"{part}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        return [tmp_path / f"{part}.txt" for part in parts]

    return write


@pytest.fixture
def audited(lists):
    """A function that audits plain lists, `part=[names]`, and returns the report."""
    return lambda **parts: audit.find_leaks(audit.read(lists(**parts)))


def findings(report):
    """Return {kind: (part, against, n, of, shared, among, examples)} of the findings."""
    return {row.kind: tuple(row[2:]) for row in report.findings.itertuples()}


def test_parts_of_other_speakers_are_clean(audited):
    report = audited(train=TRAIN, test=APART)
    assert report.ok
    assert findings(report) == {}
    assert report.verdicts == ["no leak was found"]
    assert report.parts.to_numpy().tolist() == [["train", 3, 2, "emodb"], ["test", 2, 2, "emodb"]]
    assert report.compared == (("test", "train"),)


def test_a_shared_speaker_is_found(audited):
    report = audited(train=TRAIN, test=[*APART, "03b02Wb.wav", "03b10Na.wav"])
    assert findings(report) == {"speaker": ("test", "train", 2, 4, 1, 3, "emodb/03")}
    assert not report.ok
    assert report.verdicts == ["speaker: 2 of 4 utterances are by a speaker who is trained on, in 1 of 1 comparisons"]


def test_another_take_of_a_sentence_is_found(audited):
    report = audited(train=[*TRAIN, "03a02Wc.wav"], test=[*APART, "03a02Wd.wav"])
    assert findings(report)["take"] == ("test", "train", 1, 3, 1, 3, "emodb/03a02Wd")
    assert not report.ok


def test_the_same_recording_under_another_name_is_found_by_its_published_checksum(audited):
    report = audited(train=["03-01-03-01-02-01-07.wav"], test=["Actor_07/03-01-03-01-02-02-07.wav"])
    assert findings(report)["recording"] == ("test", "train", 1, 1, 1, 1, "ravdess/03-01-03-01-02-02-07")
    report = audited(train=["1006_TIE_HAP_XX.wav"], test=["1006_TIE_NEU_XX.wav"])  # with another label
    assert findings(report)["recording"] == ("test", "train", 1, 1, 1, 1, "crema-d/1006_TIE_NEU_XX")
    assert "take" not in findings(report)


def test_an_utterance_in_two_parts_is_found_however_it_is_written(audited):
    report = audited(train=TRAIN, test=[*APART, "other\\folder\\03a01Fa.flac"])
    assert findings(report)["utterance"] == ("test", "train", 1, 3, 1, 3, "emodb/03a01Fa")
    assert set(findings(report)) == {"speaker", "recording", "take", "utterance"}
    report = audited(train=["strange.wav", *TRAIN], test=["strange.wav", *APART])
    assert findings(report)["utterance"] == ("test", "train", 1, 3, 1, 3, "strange.wav")


def test_an_utterance_twice_in_one_part_is_reported_and_leaks_nothing(audited):
    report = audited(train=[*TRAIN, "wav/03a01Fa.wav"], test=APART)
    assert findings(report) == {"repeated": ("train", "", 1, 4, 1, 3, "emodb/03a01Fa")}
    assert report.ok
    assert report.verdicts == [
        "repeated: 1 of 6 utterances are in one part more than once, in 1 of 2 parts",
        "no leak was found",
    ]


def test_an_utterance_that_is_known_to_be_defective_is_reported(audited):
    report = audited(train=["1001_DFA_ANG_XX.wav"], test=["1076_MTI_SAD_XX.wav"])
    assert findings(report) == {"defective": ("test", "", 1, 1, 1, 1, "crema-d/1076_MTI_SAD_XX (silent)")}
    assert report.ok


def test_a_name_that_is_no_corpus_s_is_reported(audited):
    report = audited(train=[*TRAIN, "03-02-01-01-01-01-01.wav"], test=APART)
    assert findings(report) == {"unknown": ("train", "", 1, 4, 1, 4, "03-02-01-01-01-01-01.wav")}
    assert report.ok


def test_what_cannot_be_looked_for_is_named(audited):
    report = audited(train=["F01A01.wav", "F01A02.wav"], test=["M02A01.wav"])
    assert report.unchecked == {"recording": 3, "take": 3}
    assert report.verdicts[:2] == [
        "recording: not looked for among 3 of 3 utterances: no checksum of the file is known",
        "take: not looked for among 3 of 3 utterances: nothing says what is spoken",
    ]


def test_folds_in_files_are_compared_train_with_test_of_the_same_fold(audited):
    report = audited(
        emodb_train_fold_1=TRAIN, emodb_test_fold_1=APART, emodb_test_fold_2=TRAIN, emodb_train_fold_2=APART
    )
    assert report.ok
    assert report.compared == (
        ("emodb_test_fold_1", "emodb_train_fold_1"),
        ("emodb_test_fold_2", "emodb_train_fold_2"),
    )


def test_validation_is_compared_with_train_and_test_with_both(audited):
    report = audited(test=["03a04Nc.wav"], valid=["08a01Na.wav"], train=TRAIN)
    assert report.compared == (("valid", "train"), ("test", "train"), ("test", "valid"))
    assert [tuple(row) for row in report.findings[["kind", "part", "against"]].to_numpy()] == [
        ("speaker", "valid", "train"),
        ("speaker", "test", "train"),
    ]


def test_files_without_a_role_are_compared_with_all_others(audited):
    report = audited(a=TRAIN, b=APART, c=["03a04Nc.wav"])
    assert report.compared == (("a", "the others"), ("b", "the others"), ("c", "the others"))
    assert list(report.findings["part"]) == ["a", "c"]
    assert list(report.findings["n"]) == [2, 1]


def test_files_of_the_same_name_are_called_by_their_folders(lists, tmp_path):
    files = []
    for fold, (train, test) in {"fold_1": (TRAIN, APART), "fold_2": (APART, TRAIN)}.items():
        (tmp_path / fold).mkdir()
        files += [file.rename(tmp_path / fold / file.name) for file in lists(train=train, test=test)]
    report = audit.find_leaks(audit.read(files))
    assert report.compared == (("fold_1/test.txt", "fold_1/train.txt"), ("fold_2/test.txt", "fold_2/train.txt"))
    assert report.ok


ROWS = [("downloads/emodb/wav/" + name, part) for part, names in (("train", TRAIN), ("test", APART)) for name in names]
BOTH = {
    "comma.csv": "n,file,Split\n" + "".join(f"{n},{file},{part}\n" for n, (file, part) in enumerate(ROWS)),
    "semicolon.csv": "file;Set\n" + "".join(f"{file};{part}\n" for file, part in ROWS),
    "tabs.tsv": "speaker\tfile\tfold\n" + "".join(f"x\t{file}\t{part}\n" for file, part in ROWS),
    "objects.json": json.dumps([{"wav": file, "length": 1.5, "part": part} for file, part in ROWS]),
    "by_key.json": json.dumps({f"k{n}": {"wav": file, "subset": part} for n, (file, part) in enumerate(ROWS)}),
    "by_name.json": json.dumps({file: {"partition": part} for file, part in ROWS}),
    "by_part.json": json.dumps({"train": TRAIN, "test": APART}),
    "lines.jsonl": "".join(json.dumps({"audio": file, "split": part, "emo": None}) + "\n" for file, part in ROWS),
}


@pytest.mark.parametrize("name", BOTH)
def test_tables_and_json_are_understood(tmp_path, name):
    (tmp_path / name).write_text("\ufeff" + BOTH[name], encoding="utf-8")
    rows = audit.read([tmp_path / name])
    assert list(rows["utterance"]) == [f"emodb/{name[:-4]}" for name in TRAIN + APART]
    assert list(rows["part"]) == ["train"] * 3 + ["test"] * 2
    assert set(rows["speaker"]) == {"emodb/03", "emodb/08", "emodb/09", "emodb/10"}
    assert audit.find_leaks(rows).ok


def test_corpora_are_known_from_the_names_or_by_the_caller(audited, lists):
    report = audited(train=[*TRAIN, "1001_DFA_ANG_XX"], test=["DC_a01.wav", "OA_bite_neutral.wav"])
    assert list(report.parts["corpora"]) == ["crema-d, emodb", "savee, tess"]
    with pytest.raises(ValueError, match=r"train.txt: no column holds names of ravdess; found path \('03a01Fa.wav'\)"):
        audit.read(lists(train=TRAIN, test=APART), "RAVDESS")


def test_an_index_table_is_known_by_its_own_columns(emodb, tmp_path):
    index.write(emodb, tmp_path / "emodb.csv")
    report = audit.find_leaks(audit.read([tmp_path / "emodb.csv"]))
    expected = split.audit(split.from_parts(emodb)).set_index("kind")
    found = report.findings.set_index("kind")
    assert (found.loc[["speaker", "take"], "n"] == expected.loc[["speaker", "take"], "n"]).all()
    assert "recording" not in found.index
    twin = emodb.assign(content=emodb["content"].mask(emodb["part"] == "test", emodb["content"][0]))
    assert emodb["part"][0] == "train"
    index.write(twin, tmp_path / "emodb.csv")
    report = audit.find_leaks(audit.read([tmp_path / "emodb.csv"]))
    assert report.findings.set_index("kind").loc["recording", "n"] == (emodb["part"] == "test").sum()


def test_what_an_index_keeps_out_is_not_audited(emodb, tmp_path):
    kept = emodb.assign(part=emodb["part"].where(emodb["speaker"] != "emodb/03", ""))
    index.write(kept, tmp_path / "emodb.csv")
    assert "emodb/03" not in set(audit.read([tmp_path / "emodb.csv"])["speaker"])


@pytest.mark.parametrize(("protocol", "ok"), [("speakers", True), ("random", False)])
def test_the_folds_of_a_predictions_table_are_compared(emodb, tmp_path, protocol, ok):
    drawn = split.make(emodb, protocol, n_folds=5)
    table = drawn.table
    scored = table[["utterance", "corpus", "speaker", "fold"]].assign(recipe="paper", y_true=table["emotion"])
    scored.to_csv(tmp_path / "seed-42.csv.gz", index=False)
    report = audit.find_leaks(audit.read([tmp_path / "seed-42.csv.gz"]))
    assert report.ok == ok
    assert len(report.compared) == table["fold"].nunique()
    expected = split.audit(drawn).set_index("kind")["n"]
    found = report.findings.groupby("kind")["n"].sum()
    assert found.to_dict() == {kind: n for kind, n in expected.items() if n}


def test_a_corpus_of_your_own_is_audited_by_its_name(workplace, wavs):
    names = ["anna_angry.wav", "anna_sad.wav", "ben_sad.wav"]
    folder = wavs(*names, root=workplace / "build" / "tiny" / "datasets" / "mine")
    table = ["anna_angry.wav,anger,anna,one", "anna_sad.wav,sadness,anna,one", "ben_sad.wav,sadness,ben,one"]
    (folder / "utterances.csv").write_text("\n".join(["path,emotion,speaker,sentence", *table]))
    (workplace / "train.txt").write_text("anna_angry.wav\n")
    (workplace / "test.txt").write_text("mine/anna_sad\nben_sad.wav\n")
    report = audit.find_leaks(audit.read([workplace / "train.txt", workplace / "test.txt"], "mine"))
    assert findings(report) == {"speaker": ("test", "train", 1, 2, 1, 2, "mine/anna")}
    assert report.unchecked == {"recording": 3}


# What columns state


WORDS = {"W": "anger", "F": "happiness", "N": "neutral"}  # EMODB's codes
SENTENCES = [f"{sentence}{code}" for sentence in ("a01", "a02", "b01") for code in WORDS]


def named(stated, name="{speaker}{sentence}a.wav", sentences=SENTENCES):
    """Return rows of (file, emotion, speaker): those sentences, each by all speakers, {as stated: as in the names}."""
    return [
        (name.format(speaker=speaker, sentence=sentence), WORDS[sentence[-1]], spelt)
        for spelt, speaker in stated.items()
        for sentence in sentences
    ]


@pytest.fixture
def tables(tmp_path):
    """A function that writes tables of rows, `part=rows`, audits them and returns the report."""

    def audited(columns="file,emotion,speaker", **parts):
        for part, rows in parts.items():
            (tmp_path / f"{part}.csv").write_text("\n".join([columns, *map(",".join, rows), ""]))
        return audit.find_leaks(audit.read([tmp_path / f"{part}.csv" for part in parts]))

    return audited


@pytest.mark.parametrize(
    "stated",
    [
        {"03": "03", "08": "08", "09": "09"},
        {"3": "03", "8": "08", "9": "09"},
        {"Speaker_03": "03", "Speaker_08": "08", "Speaker_09": "09"},
        {"emodb/03": "03", "emodb/08": "08", "emodb/09": "09"},
        {"Ann": "03", "Ben": "08", "Cem": "09"},  # which the rows with names of the corpus explain
    ],
    ids=lambda stated: next(iter(stated)),
)
def test_a_stated_speaker_is_compared_where_the_name_does_not_say_who_speaks(tables, stated):
    by_name = named(stated if "Ann" in stated else {"": "03", "-": "08", "nan": "09"})  # which state no speaker
    test = by_name + named(stated, name="rec {speaker} {sentence}.wav")
    report = tables(train=[(f"{speaker}b02Wa.wav", "anger", "") for speaker in stated.values()], test=test)
    assert len(test) == 54
    assert findings(report)["speaker"] == ("test", "train", 54, 54, 3, 3, "emodb/03, emodb/08, emodb/09")
    assert findings(report)["unknown"][2:4] == (27, 54)
    assert set(findings(report)) == {"speaker", "unknown"}
    assert report.unchecked["take"] == 27
    assert report.verdicts[0].startswith("speaker: 54 of 54 utterances are by a speaker who is trained on")


@pytest.mark.parametrize("column", ["speaker", "Speaker", "speaker_id", "Speaker ID", "actor", "subject", "SPK"])
@pytest.mark.parametrize(("columns", "name"), [("n,split,id", "{}.wav"), ("split,id,n", "{}")])
def test_tables_without_any_name_of_a_corpus_are_compared_by_the_stated_speakers(tables, columns, column, name):
    def audited(**speakers):
        rows = [
            {"n": "7", "split": part, "id": name.format(f"{part}{n}"), "speaker": speaker}
            for part, stated in speakers.items()
            for n, speaker in enumerate(stated)
        ]
        rows = [[row[column] for column in [*columns.split(","), "speaker"]] for row in rows]
        return tables(f"{columns},{column}", all=rows)

    report = audited(train=["Ann", "ann", "Ben", "unknown", ""], test=["Ann", "Cem", "unknown", ""])
    assert findings(report)["speaker"] == ("test", "train", 1, 4, 1, 3, "Ann")
    assert findings(report)["unknown"][:6] == ("test", "", 4, 4, 4, 4)
    assert set(findings(report)) == {"speaker", "unknown"}
    assert list(report.parts["speakers"]) == [2, 2]
    assert not report.ok
    assert audited(train=["Ann", "unknown"], test=["Cem", "unknown"]).ok


def test_takes_are_known_from_stated_emotions_and_sentences(tables):
    train = [
        ("a1.wav", "happy", "Ann", "Dogs sit"),
        ("a2.wav", "sad", "Ann", "Kids talk"),
        ("03a02Fa.wav", "", "", "a02"),
    ]
    test = [
        ("a3.wav", "happiness", "Ann", "Dogs sit"),
        ("a4.wav", "sad", "Ann", "Dogs sit"),
        ("a5.wav", "joy", "3", "a02"),
    ]
    report = tables("file,label,speaker,sentence", train=train, test=test)
    assert findings(report)["take"] == ("test", "train", 2, 3, 2, 3, "a3.wav, a5.wav")
    assert findings(report)["speaker"] == ("test", "train", 3, 3, 2, 2, "Ann, emodb/03")
    shemo = tables("file,text", train=[("F01A01.wav", "x"), ("F01A02.wav", "y")], test=[("F01A03.wav", "y")])
    assert findings(shemo)["take"] == ("test", "train", 1, 1, 1, 1, "shemo/F01A03")  # whose names say no sentence


@pytest.mark.parametrize("stated", ["3", "emodb/03", "actor 03", "Ann"])
def test_a_stated_speaker_that_contradicts_the_name_is_reported_in_one_line(tables, stated):
    train = named({"Ann": "03"})  # of whom there are more
    report = tables(train=train, test=[*named({"8": "08"}), ("09a01Fa.wav", "happiness", stated)])
    assert findings(report) == {"contradictory": ("test", "", 1, 10, 1, 10, f"emodb/09a01Fa (stated: {stated})")}
    assert report.ok  # by the name, nobody is trained on and tested
    assert report.verdicts[0] == (
        "contradictory: 1 of 19 utterances are stated to be by another speaker than their names say, in 1 of 2 parts"
    )
    assert sum("contradictory" in line for line in report.verdicts) == 1


def test_one_number_may_state_a_speaker_in_each_of_several_corpora(tables):
    train = [("03a01Fa.wav", "", "3"), ("03-01-03-01-01-01-03.wav", "", "3"), ("x.wav", "", "3")]
    report = tables(train=train, test=[("y.wav", "", "3"), ("08a01Fa.wav", "", "8")])
    assert set(findings(report)) == {"speaker", "unknown"}
    assert findings(report)["speaker"] == ("test", "train", 1, 2, 1, 2, "3")  # of neither corpus for certain


# Refusals


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "a.csv cannot be read as CSV .*; mend it, or save it as CSV"),
        ("a.csv", "path,part\n", "a.csv lists nothing; expected a row for each utterance"),
        (
            "a.csv",
            "path,part\n03a01Fa.wav,train\n03a01Fa.wav,x,y,z\n",
            "a.csv, line 3: expected 2 values, as in the first; correct it",
        ),
        (
            "a.csv",
            "wav/03a01Fa.wav\nwav/03a01Nc.wav\n",
            "a.csv, line 1: 'wav/03a01Fa.wav' is an utterance; expected the",
        ),
        (
            "a.csv",
            "id,part\n7,train\n8,test\n",
            r"no column holds names of emovo, .*; found id \('7'\), part \('train'\)",
        ),
        ("a.json", '[{"wav": "03a01Fa.wav"}, ', "a.json cannot be read as JSON .*line 1 column"),
        ("a.json", "7", "a.json lists nothing"),
        ("a.jsonl", '{"wav": "03a01Fa.wav"}\n{"wav": \n', "a.jsonl cannot be read as JSONL .line 2: Expecting value"),
        ("a.txt", "\n\n", "a.txt lists nothing"),
        (
            "a.txt",
            "one.wav\ntwo.wav\n",
            r"a.txt: no column holds names of .*; found path \('one.wav'\); expected names li",
        ),
        ("a.txt", "03a01Fa.wav\n", "a is compared with nothing; expected two or more parts. Give the other file, too"),
        ("a.csv", "path,part\n03a01Fa.wav,train\n03a01Nc.wav,train\n", "a is compared with nothing; expected two or m"),
    ],
)
def test_a_malformed_table_is_refused_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refused:
        audit.find_leaks(audit.read([tmp_path / name]))
    assert "\n" not in str(refused.value)


def test_what_is_no_text_or_no_file_is_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"path\n\xff\xfe.wav\n")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"path\n03a01Fa.wav\n" * 99)[:40])
    for name in ("a.csv", "b.csv.gz"):
        with pytest.raises(ValueError, match=f"{name} is not text in UTF-8 .*; save it as UTF-8"):
            audit.read([tmp_path / name])
    for name in ("none.csv", "."):
        with pytest.raises(FileNotFoundError, match="is not a file; expected a table, JSON, or a list of paths. Check"):
            audit.read([tmp_path / name])


def test_split_files_on_several_drives_are_told_apart_by_their_whole_paths(monkeypatch, tmp_path):
    def refuse(paths):
        raise ValueError("Paths don't have the same drive")  # as on Windows

    files = [tmp_path / part / "speakers.csv" for part in ("a", "b")]
    monkeypatch.setattr(os.path, "commonpath", refuse)
    assert audit._names_of(files) == [file.as_posix() for file in files]
