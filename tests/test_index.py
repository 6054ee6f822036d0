import json

import numpy as np
import pandas as pd
import pytest

from conftest import real
from serlib import audio, cache, corpora, index, split

LAYOUTS = {  # one published utterance as it lies in real copies
    "ravdess": [
        "Audio_Speech_Actors_01-24/Actor_05/03-01-05-02-01-01-05.wav",
        "speech-emotion-recognition-ravdess-data/Actor_23/03-01-05-02-01-01-23.wav",
        "SoundData/DataFlair/ravdess data/Actor_19/03-01-04-02-01-01-19.wav",
        "resources/labelled_audio/surprised/03-01-08-02-01-01-18.wav",
        "RAVDESS/Audio_Speech/Actor_02/03-01-03-01-01-01-02.wav",
        "data/03-01-06-02-02-02-03.wav",
    ],
    "tess": [
        "TESS Toronto emotional speech set data/OAF_Sad/OAF_ripe_sad.wav",
        "TESS_Toronto_emotional_speech_set_data/OAF_happy/OAF_late_happy.wav",
        "data/TESS/OAF_neutral/OA_bite_neutral.wav",
        "tess/YAF_pleasant_surprised/YAF_thumb_ps.wav",
        "OAF_Fear/OAF_back_fear.wav",
        "audio/OAF_bath_fear.wav",
    ],
    "savee": [
        "AudioData/DC/a01.wav",
        "data/SAVEE/JE/a01.wav",
        "ALL/JK_a01.wav",
        "SAVEE/angry/KL_a01.wav",
        "converted/KL/sa02.wav",
    ],
    "crema-d": [
        "AudioWAV/1014_WSI_NEU_XX.wav",
        "data/audio/1032_IEO_HAP_LO.wav",
        "data/AudioWAV/train/1001_DFA_ANG_XX.wav",
        "datasets/crema-d/1001/1001_TAI_HAP_XX.wav",
        "old/1040_ITH_SAD_X.wav",
    ],
    "emovo": ["EMOVO/f1/gio-f1-b1.wav", "data/EMOVO/f2/neu-f2-l3.wav", "rab-f1-b1.wav"],
    "emodb": [
        "wav/03a01Fa.wav",
        "Emo-db/wav/03a01Nc.wav",
        "dataset/Sad/10a07Ta.wav",
        "train/female/sadness/14b03Ta.wav",
        "wav/a01/disgust/16a01Ec.wav",
        "Actor_02/09b03Ta.wav",
        "archive/15a04Fd.wav",
    ],
    "shemo": ["female/F01A01.wav", "male/M01N02.wav", "shemo/F24W20.wav", "shemo/M/M03F01.wav"],
}


@pytest.mark.parametrize("corpus", LAYOUTS)
def test_every_layout_of_a_corpus_is_read(wavs, corpus):
    table = index.scan(wavs(*LAYOUTS[corpus]), corpus)
    assert sorted(table["path"]) == sorted(LAYOUTS[corpus])
    assert set(table["speaker"].str.removeprefix(f"{corpus}/")) <= set(corpora.get(corpus).speakers)
    n_missing = corpora.get(corpus).n_utterances - len(LAYOUTS[corpus])
    assert f"{n_missing:,} missing" in table.attrs["problems"][0]


def test_the_table_is_as_promised(wavs):
    root = wavs("wav/03a01Fa.wav", "wav/08a01Wa.wav")
    table = index.scan(root, "EMO-DB")
    assert tuple(table) == (*index.COLUMNS, *index.DEMOGRAPHICS)
    assert (table["age"][0], table["race"][0], table["ethnicity"][0]) == (31, "", "")
    first = table.iloc[0]
    assert first["utterance"] == "emodb/03a01Fa"
    assert (first["corpus"], first["path"], first["speaker"]) == ("emodb", "wav/03a01Fa.wav", "emodb/03")
    assert (first["gender"], first["emotion"], first["sentence"], first["take"]) == ("male", "happiness", "a01", "a")
    assert (first["duration_s"], first["sample_rate_hz"], first["channels"]) == (0.05, 16000, 1)
    assert first["content"] == cache.content_hash(root / "wav" / "03a01Fa.wav")
    assert list(table["utterance"]) == sorted(table["utterance"])
    assert table.attrs["folder"] == str(root)


def test_codes_stay_text(wavs):
    table = index.scan(wavs("Actor_01/03-01-01-01-01-01-01.wav"), "ravdess")
    assert (table["take"][0], table["sentence"][0], table["speaker"][0]) == ("01", "01", "ravdess/01")


def test_a_doubled_tree_is_read_once(wavs):
    names = [f"Actor_0{k}/03-01-0{e}-01-01-01-0{k}.wav" for k in (1, 2) for e in (1, 2, 3)]
    root = wavs(*names)
    for name in names:
        copy = root / "audio_speech_actors_01-24" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((root / name).read_bytes())
    table = index.scan(root, "ravdess")
    assert len(table) == 6
    assert table["path"].str.startswith("Actor").all()
    assert "6 sound files of an utterance found before, not read" in table.attrs["problems"][0]


def test_resource_files_of_macos_are_passed_over(wavs):
    root = wavs("wav/03a01Fa.wav")
    (root / "__MACOSX").mkdir()
    (root / "__MACOSX" / "._03a01Fa.wav").write_bytes(b"\0\5\26\7")
    (root / "wav" / "._03a01Fa.wav").write_bytes(b"\0\5\26\7")
    table = index.scan(root, "emodb")
    assert len(table) == 1
    assert "534 missing" in table.attrs["problems"][0]


def test_strange_and_unreadable_files_are_reported_and_the_rest_is_read(wavs):
    root = wavs("AudioWAV/1014_WSI_NEU_XX.wav", "AudioWAV/1093_ARK_HAP_HI.wav")
    (root / "AudioWAV" / "1001_DFA_ANG_XX.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    table = index.scan(root, "crema-d")
    assert list(table["utterance"]) == ["crema-d/1014_WSI_NEU_XX"]
    strange, pointer, missing, altered = table.attrs["problems"]
    assert "1 sound file not named as this corpus's" in strange
    assert "1093_ARK_HAP_HI.wav" in strange
    assert "Git-LFS pointer" in pointer
    assert "7,441 missing" in missing
    assert "1 of 1 utterances differ from what was published: '1014_WSI_NEU_XX'. See what 'python -m" in altered


def test_files_without_their_speaker_are_told_so(wavs):
    root = wavs("angry/a01.wav", "angry/a02.wav", "sad/sa01.wav", sr=44100)
    message = "holds no utterance of savee; savee: 3 sound files without the speaker, neither in the name nor as the"
    with pytest.raises(ValueError, match=f"{message} folder, .*expected files named like DC/a01.wav or DC_a01.wav"):
        index.scan(root, "savee")
    for example in corpora.get("savee").example.split(" or "):
        assert corpora.get("savee").parse(example).stem == "DC_a01"
    wavs("DC/a01.wav", "KL_sa01.wav", "notes.wav", sr=44100)
    table = index.scan(root, "savee")
    assert list(table["utterance"]) == ["savee/DC_a01", "savee/KL_sa01"]
    speakerless, strange, *_ = table.attrs["problems"]
    assert "3 sound files without the speaker" in speakerless
    assert "1 sound file not named as this corpus's, not read: 'notes.wav'" in strange


def test_many_files_with_one_fault_are_told_in_one_line(wavs):
    root = wavs("AudioWAV/1014_WSI_NEU_XX.wav")
    for stem in ("1001_DFA_ANG_XX", "1001_DFA_DIS_XX", "1001_DFA_FEA_XX"):
        (root / "AudioWAV" / f"{stem}.wav").write_text("version https://git-lfs.github.com/spec/v1\n")
    pointers = [line for line in index.scan(root, "crema-d").attrs["problems"] if "Git-LFS" in line]
    assert len(pointers) == 1
    assert pointers[0].endswith("Run 'git lfs pull' in that clone. 2 more are like it.")


def test_declared_defects_are_flagged_and_kept_out(wavs):
    defective = {
        "1076_MTI_SAD_XX": "silent",
        "1006_TIE_HAP_XX": "contradictory",
        "1006_TIE_NEU_XX": "contradictory",
        "1013_WSI_DIS_XX": "contradictory",
        "1013_WSI_SAD_XX": "contradictory",
        "1017_IWW_ANG_XX": "contradictory",
        "1017_IWW_FEA_XX": "contradictory",
    }
    root = wavs(*(f"AudioWAV/{stem}.wav" for stem in [*defective, "1001_DFA_ANG_XX", "1001_DFA_DIS_XX"]))
    table = index.scan(root, "crema-d").set_index("utterance")
    for stem, flag in defective.items():
        assert table.loc[f"crema-d/{stem}", "flags"] == flag
        assert table.loc[f"crema-d/{stem}", "part"] == ""
    assert (table["part"] != "").sum() == 2
    assert len(table.attrs["dropped"]) == 7
    kept = index.scan(root, "crema-d", keep_flagged=True)
    assert (kept["part"] != "").all()
    assert kept.attrs["dropped"] == []


def test_identical_recordings_are_found_by_content(wavs):
    root = wavs("wav/03a01Fa.wav", "wav/03a01Nc.wav", "wav/08a01Wa.wav")
    same = (root / "wav" / "03a01Fa.wav").read_bytes()
    (root / "wav" / "03a02Fc.wav").write_bytes(same)
    table = index.scan(root, "emodb").set_index("utterance")
    assert list(table["flags"]) == ["", "", "duplicate", ""]
    (root / "wav" / "08a01Wa.wav").write_bytes(same)
    table = index.scan(root, "emodb").set_index("utterance")
    assert list(table["flags"]) == ["contradictory", "", "contradictory", "contradictory"]


def test_a_changed_synthetic_corpus_is_noticed(wavs):
    root = wavs("wav/03a01Fa.wav", "wav/03a01Nc.wav")
    counts = {"n_utterances": 2, "by_emotion": {"happiness": 1, "neutral": 1}}
    (root / "SYNTHETIC.json").write_text(json.dumps(counts))
    table = index.scan(root, "emodb")
    assert table.attrs["synthetic"]
    assert table.attrs["problems"] == []
    (root / "wav" / "03a01Nc.wav").unlink()
    (problem,) = index.scan(root, "emodb").attrs["problems"]
    assert "neutral 0 of 1" in problem


def test_an_extra_utterance_is_reported(wavs):
    table = index.scan(wavs("wav/03a01Ff.wav"), "emodb")
    assert "1 never published: '03a01Ff'" in table.attrs["problems"][0]


def test_a_folder_without_the_corpus_is_refused(wavs, tmp_path):
    with pytest.raises(ValueError, match=r"holds no utterance of emodb; .*files named like 03a01Fa.wav"):
        index.scan(wavs("Actor_01/03-01-01-01-01-01-01.wav"), "emodb")
    with pytest.raises(FileNotFoundError, match="is not a folder; expected the one that holds emodb"):
        index.scan(tmp_path / "nowhere", "emodb")


def test_the_random_part_is_a_fifth_of_each_emotion_and_the_same_everywhere():
    emotions = np.repeat(["anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness"],
                         [127, 81, 46, 69, 71, 79, 62])  # fmt: skip
    parts = index.random_parts(emotions, seed=42)
    tested = pd.Series(emotions[parts == "test"]).value_counts()
    assert (parts == "test").sum() == 107  # ceil of a fifth of 535
    assert all(abs(tested[emotion] - (emotions == emotion).sum() / 5) < 1 for emotion in set(emotions))
    np.testing.assert_array_equal(parts, index.random_parts(emotions, seed=42))
    assert (parts != index.random_parts(emotions, seed=43)).any()
    # drawn once with numpy 2.4: a version that draws otherwise would silently change every split
    assert np.flatnonzero(parts == "test")[:8].tolist() == [0, 20, 29, 33, 35, 36, 40, 45]


def test_the_last_utterance_of_an_emotion_is_trained_on():
    parts = index.random_parts(["anger"] * 20 + ["fear"], seed=0)
    assert parts[-1] == "train"
    assert (parts == "test").sum() == 5


def test_what_is_written_is_read_back(wavs, tmp_path):
    table = index.scan(wavs("Actor_01/03-01-01-01-01-01-01.wav", "Actor_02/03-01-02-01-01-01-02.wav"), "ravdess")
    index.write(table, tmp_path / "csv" / "ravdess.csv")
    back = index.read(tmp_path / "csv" / "ravdess.csv")
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    assert back.attrs == table.attrs
    text = (tmp_path / "csv" / "ravdess.csv").read_text()
    assert text.startswith(",".join(index.COLUMNS))
    assert ",01,01,01,0.0500,16000,1," in text


def test_tables_that_are_none_are_refused(wavs, tmp_path):
    good = index.scan(wavs("wav/03a01Fa.wav", "wav/03a01Nc.wav"), "emodb")
    csv = tmp_path / "t.csv"
    for bad, message in [
        (
            good.drop(columns=["speaker", "content"]),
            "the column 'speaker' is missing; expected utterance,corpus,.*; make it again with",
        ),
        (good.iloc[:0], "has no rows"),
        (good.replace({"emotion": {"neutral": "Calmish"}}), r"an emotion that is 'Calmish'; expected one of anger"),
        (good.assign(part="dev"), r"unknown values in 'part': \['dev'\]"),
        (good.assign(duration_s="long"), "has text among its numbers"),
        (pd.concat([good, good]), "holds 'emodb/03a01Fa', 'emodb/03a01Nc' twice"),
    ]:
        bad.to_csv(csv, index=False)
        with pytest.raises(ValueError, match=message):
            index.read(csv)
    csv.write_bytes(b"\xff\xfe\0")
    with pytest.raises(ValueError, match="is not text in UTF-8"):
        index.read(csv)
    with pytest.raises(FileNotFoundError, match=r"gone.csv does not exist; .*serlib index"):
        index.read(tmp_path / "gone.csv")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(wavs, tmp_path):
    table = index.scan(wavs("wav/03a01Fa.wav"), "emodb")
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbf" + table.to_csv(index=False, lineterminator="\r\n").encode())
    assert index.read(tmp_path / "t.csv")["utterance"].tolist() == ["emodb/03a01Fa"]


def test_parts_are_counted_in_the_vocabularys_order(emodb):
    parts = index.parts(emodb)
    assert list(parts.index) == [*corpora.get("emodb").emotions, "all"]
    assert (parts["total"] == parts["train"] + parts["test"]).all()
    assert parts.loc["all", "total"] == len(emodb)


def test_a_corpus_is_indexed_once(workplace):
    table = index.load("emodb")
    csv = workplace / "build" / "tiny" / "csv" / "emodb.csv"
    before = csv.stat().st_mtime_ns
    again = index.load("EMO-DB")
    assert csv.stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(table, again, check_dtype=False)


def test_what_is_not_the_default_has_a_table_of_its_own(workplace):
    csv = workplace / "build" / "tiny" / "csv"
    assert index.table_file("EMO-DB") == csv / "emodb.csv"
    assert index.table_file("shemo", label_version="file-names") == csv / "shemo.csv"
    assert index.table_file("shemo", label_version="corrected") == csv / "shemo-corrected.csv"
    assert index.table_file("emodb", seed=7, keep_flagged=True) == csv / "emodb-seed-7-keep-flagged.csv"


def test_a_table_drawn_otherwise_is_not_taken_for_the_default(workplace):
    default = index.load("emodb")
    index.write(index.redraw(default, seed=7), index.table_file("emodb"))
    pd.testing.assert_frame_equal(index.load("emodb"), default, check_dtype=False)


def test_an_utterance_in_another_format_is_told_apart_from_a_strange_name(wavs):
    root = wavs("wav/03a01Fa.wav")
    (root / "wav" / "03a01Nc.wav.bak").touch()
    audio.write(root / "wav" / "03a01Nc.flac", np.zeros(800, np.float32), 16000)
    converted = index.scan(root, "emodb").attrs["problems"][0]
    assert "1 sound file named as this corpus's but no WAV, not read" in converted
    assert converted.endswith("'wav/03a01Nc.flac'")


def test_a_corpus_that_changed_is_indexed_again(workplace, wavs, monkeypatch):
    folder = wavs("wav/03a01Fa.wav", "wav/03a01Nc.wav", root=workplace / "data" / "EMODB")
    monkeypatch.setenv("SERLIB_PROFILE", "full")
    monkeypatch.setenv("SERLIB_DATA", str(workplace / "data"))
    assert len(index.load("emodb")) == 2
    wavs("wav/08a01Wa.wav", root=folder)
    assert len(index.load("emodb")) == 3
    before = index.load("emodb")["content"].tolist()
    wavs("wav/08a01Wa.wav", root=folder, sr=22050)
    assert index.load("emodb")["content"].tolist() != before


def test_full_never_falls_back_to_synthetic_speech(workplace, monkeypatch):
    monkeypatch.setenv("SERLIB_PROFILE", "full")
    monkeypatch.setenv("SERLIB_DATA", str(workplace / "corpora"))
    message = (
        "corpora, where corpora are looked for, is not a folder; expected the one that holds EMODB. Point SERLIB_DATA"
    )
    with pytest.raises(FileNotFoundError, match=message):
        index.load("emodb")
    (workplace / "corpora").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"emodb: no folder 'EMODB' in .*corpora. Get it with 'python -m serlib download emodb'"
    ):
        index.load("emodb")


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("corpus", "n", "n_used", "n_speakers"),
    [("emodb", 535, 535, 10), ("ravdess", 300, 299, 5), ("crema-d", 485, 478, 6), ("tess", 196, 196, 2)],
)
def test_real_copies_are_indexed_and_their_defects_kept_out(corpus, n, n_used, n_speakers):
    table = index.scan(real(corpus), corpus)
    used = table[table["part"] != ""]
    assert (len(table), len(used), used["speaker"].nunique()) == (n, n_used, n_speakers)
    published = corpora.get(corpus).manifest().set_index("path")["sha256"]
    assert (table["content"].to_numpy() == published[table["path"]].to_numpy()).all()


def test_nothing_is_decoded(wavs, monkeypatch):
    monkeypatch.setattr(audio.soundfile, "read", lambda *_, **__: pytest.fail("decoded"))
    assert len(index.scan(wavs("wav/03a01Fa.wav"), "emodb")) == 1


def test_another_seed_redraws_the_parts_and_nothing_else(emodb):
    drawn = index.redraw(emodb, seed=7)
    assert (drawn["part"] != emodb["part"]).any()
    assert (drawn["part"] == "test").sum() == (emodb["part"] == "test").sum()
    pd.testing.assert_frame_equal(drawn.drop(columns="part"), emodb.drop(columns="part"))
    pd.testing.assert_frame_equal(index.redraw(drawn, seed=42), emodb)
    flagged = emodb.assign(part=emodb["part"].where(emodb["speaker"] != emodb["speaker"][0], ""))
    assert (index.redraw(flagged, seed=7)["part"] == "").equals(flagged["part"] == "")


# One door for tables, however many corpora they hold


@pytest.fixture
def two(wavs, tmp_path):
    """Index tables of a few utterances of two corpora."""
    emodb = wavs("03a01Fa.wav", "03a01Nc.wav", "08a01Wa.wav", root=tmp_path / "EMODB")
    savee = wavs("DC/a01.wav", "KL/n02.wav", root=tmp_path / "SAVEE", sr=44100)
    return index.scan(emodb, "emodb"), index.scan(savee, "savee")


def test_a_table_that_is_one_passes_as_it_is(two):
    table = index.join(two)
    pd.testing.assert_frame_equal(index.check(table), table)
    some = table[table["emotion"] != "anger"]  # with row numbers missing, as a user's choice has them
    pd.testing.assert_frame_equal(index.check(some), some)
    assert index.check(some).attrs == table.attrs


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.to_dict("records"), "the table is a list; expected an index table"),
        (
            lambda table: table.drop(columns=["path"]),
            "the table has no column 'path'; expected utterance, corpus, path",
        ),
        (lambda table: table.assign(utterance="emodb/a"), "the table holds 'emodb/a', 'emodb/a' twice"),
        (lambda table: table.assign(speaker=""), "the table does not say who speaks in 'emodb/03a01Fa', .*; index the"),
        (lambda table: table.assign(speaker=None), "the table does not say who speaks in 'emodb/03a01Fa', "),
        (lambda table: table.assign(emotion="joy"), r"the table has an emotion that is 'joy'; expected 'happiness'"),
        (lambda table: table.assign(part="dev"), r"the table has unknown values in 'part': \['dev'\]; expected"),
        (lambda table: table.assign(duration_s=-1.0), "the table has durations, rates or numbers of channels that no"),
        (
            lambda table: table.assign(duration_s=np.inf),
            "the table has durations, rates or numbers of channels that no",
        ),
        (lambda table: table.assign(sample_rate_hz=0), "the table has durations, rates or numbers of channels that no"),
        (lambda table: table.assign(channels=0), "the table has durations, rates or numbers of channels that no"),
        (
            lambda table: table.assign(corpus="../x"),
            "the table holds the corpus '../x'; expected corpora called by their",
        ),
        (
            lambda table: table.assign(path="../a.wav"),
            "the table has paths that lead out of the corpus's folder: '../a",
        ),
        (lambda table: table.assign(path="C:a.wav"), "the table has paths that lead out of the corpus's folder: 'C:a"),
    ],
)
def test_what_is_no_index_table_is_refused_with_its_fault(two, change, message):
    with pytest.raises((TypeError, ValueError), match=message):
        index.check(change(two[0]))


def test_doubled_rows_are_refused_by_name(two):
    doubled = pd.concat([two[0], two[0].iloc[:1]])
    with pytest.raises(
        ValueError, match=r"'emodb/03a01Fa' twice \(1 rows too many\); expected each utterance once. Use"
    ):
        index.check(doubled)


def test_rows_that_share_a_number_get_one_each(two):
    table = pd.concat(two)
    assert table.index.has_duplicates
    assert list(index.check(table).index) == [0, 1, 2, 3, 4]


def test_joined_tables_keep_parts_and_what_is_known_of_each(two):
    emodb, savee = two
    savee = savee.assign(part="test")
    emodb.attrs["seed"] = 7
    emodb.attrs["dropped"] = [{"utterance": "emodb/x", "path": "x.wav", "flags": "cut"}]
    joined = index.join([savee, emodb])
    assert list(joined["utterance"]) == sorted([*emodb["utterance"], *savee["utterance"]])
    parts = joined.set_index("utterance")["part"]
    assert (parts[emodb["utterance"]].to_numpy() == emodb["part"].to_numpy()).all()
    assert set(parts[savee["utterance"]]) == {"test"}
    assert index.names(joined) == ["emodb", "savee"]
    assert (joined.attrs["corpus"], joined.attrs["synthetic"]) == ("emodb+savee", False)
    assert joined.attrs["sources"] == {"emodb": emodb.attrs, "savee": savee.attrs}
    assert joined.attrs["problems"] == [*savee.attrs["problems"], *emodb.attrs["problems"]]
    assert joined.attrs["dropped"] == emodb.attrs["dropped"]
    assert joined.attrs["protocol"] == "random"
    assert "seed" not in joined.attrs  # of which each has another
    assert index.root_of(joined, "savee") == index.root_of(savee)
    assert index.label_versions(joined) == {"emodb": "file-names", "savee": "file-names"}
    pd.testing.assert_frame_equal(index.join([emodb]), emodb)


def test_joined_tables_of_which_one_is_synthetic_are_synthetic(two):
    two[1].attrs["synthetic"] = True
    assert index.is_synthetic(index.join(two))


def test_what_cannot_be_joined_is_refused(two):
    with pytest.raises(ValueError, match="the table holds 'emodb/03a01Fa', .* twice"):
        index.join([two[0], two[0]])
    with pytest.raises(ValueError, match="table 2 of 2 has no column 'speaker'"):
        index.join([two[0], two[1].drop(columns="speaker")])
    with pytest.raises(ValueError, match="no index table is given; expected one or more"):
        index.join([])


def test_two_corpora_in_one_table_need_a_name_where_one_is_meant(two):
    joined = index.join(two)
    with pytest.raises(ValueError, match="the table holds emodb, savee; expected one corpus. Say which"):
        index.root_of(joined)
    with pytest.raises(
        ValueError, match="the table holds emodb, savee, and one folder is given; expected {corpus: fol"
    ):
        index.root_of(joined, "emodb", root="/somewhere")
    assert index.root_of(joined, "savee", root={"savee": "/somewhere"}).as_posix() == "/somewhere"


def test_a_task_is_the_same_by_whatever_route_its_table_came(two, tmp_path):
    joined = index.join(two)
    expected = index.fingerprint(joined)
    assert index.fingerprint(index.join(two[::-1])) == expected
    assert index.fingerprint(pd.concat(two)) == expected
    assert index.fingerprint(pd.concat(two, ignore_index=True)) == expected
    index.write(joined, tmp_path / "both.csv")
    back = index.read(tmp_path / "both.csv")
    pd.testing.assert_frame_equal(back, joined, check_dtype=False)
    assert (index.fingerprint(back), back.attrs["sources"]) == (expected, joined.attrs["sources"])
    back.to_csv(tmp_path / "plain.csv", index=False)
    assert index.fingerprint(index.read(tmp_path / "plain.csv")) == expected


def test_tables_put_together_by_pandas_are_told_apart_again(two):
    joined = pd.concat(two)
    assert index.names(joined) == ["emodb", "savee"]
    assert index.sources(joined) == {"emodb": {}, "savee": {}}  # pandas keeps nothing of attrs that differ
    assert not index.is_synthetic(pd.concat([two[0].iloc[:1], two[0].iloc[1:]]))


def test_an_emotion_or_a_content_makes_another_task_and_the_order_of_rows_does_not(two):
    table = two[0]
    expected = index.fingerprint(table)
    assert index.fingerprint(table.iloc[::-1]) == expected
    assert index.fingerprint(table.assign(path="elsewhere.wav", duration_s=2.0)) == expected
    assert index.fingerprint(index.redraw(table, seed=7)) == expected  # parts belong to the protocol
    for column, value in (("emotion", "fear"), ("content", "0" * 64), ("utterance", "emodb/x"), ("part", "")):
        changed = table.copy()
        changed.loc[0, column] = value
        assert index.fingerprint(changed) != expected, column


def test_of_a_table_that_was_edited_only_the_place_of_its_recordings_is_believed(two, tmp_path):
    index.write(two[0], tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text()
    (tmp_path / "a.csv").write_text(text.replace(",train,", ",test,", 1))
    back = index.read(tmp_path / "a.csv")
    assert {name: back.attrs.get(name) for name in ("corpus", "folder", "synthetic", "labels", "seed", "protocol")} == {
        **{name: two[0].attrs[name] for name in ("corpus", "folder", "synthetic", "labels")},
        **{"seed": None, "protocol": None},
    }
    (problem,) = back.attrs["problems"]
    assert problem.endswith("a.csv was edited after it was indexed: its parts are taken as they stand")


def test_emotions_are_called_otherwise_and_some_are_kept(emodb):
    words = {"happiness": "positive", "anger": "negative", "sadness": "negative"}
    table = index.relabel(emodb, mapping=words, only=["positive", "negative"])
    n = emodb["emotion"].value_counts()
    assert index.parts(table)["total"].drop("all").to_dict() == {
        "negative": n["anger"] + n["sadness"],
        "positive": n["happiness"],
    }
    kept = table[table["part"] != ""]
    assert (kept["part"] == emodb.loc[kept.index, "part"]).all(), "parts stay as they were drawn"
    assert table.attrs["relabelled"] == {"mapping": words, "only": ["positive", "negative"]}
    assert index.fingerprint(table) != index.fingerprint(emodb)
    assert index.fingerprint(index.relabel(emodb)) == index.fingerprint(emodb)


def test_female_and_male_voices_are_classes_of_their_own(emodb):
    emodb = emodb.copy()
    emodb.loc[emodb.index[0], "gender"] = ""
    table = index.relabel(emodb, only=["anger", "sadness"], by_gender=True)
    used = table[table["part"] != ""]
    assert sorted(used["emotion"].unique()) == ["female-anger", "female-sadness", "male-anger", "male-sadness"]
    counts = emodb.query("gender != '' and emotion == 'anger'")["gender"].value_counts()
    assert (used["emotion"] == "male-anger").sum() == counts["male"]
    assert table.loc[0, "part"] == ""


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"mapping": {"joy": "positive"}}, "no utterance is called 'joy'; expected emotions of the table: anger, bor"),
        ({"mapping": {"anger": "Angry"}}, "an emotion is to be called 'Angry'; expected 'anger'"),
        ({"only": ["anger", "calm"]}, "no utterance is called 'calm'; expected some of anger"),
        ({"only": ["anger"]}, "fewer than two emotions are left"),
    ],
)
def test_what_cannot_be_relabelled_is_said(emodb, how, message):
    with pytest.raises(ValueError, match=message):
        index.relabel(emodb, **how)


def test_speakers_are_held_out_by_their_names(emodb):
    table = index.hold_out(emodb, ["03", "emodb/11"])
    tested = table.groupby("speaker")["part"].agg(set)
    assert tested["emodb/03"] == tested["emodb/11"] == {"test"}
    assert set.union(*tested.drop(["emodb/03", "emodb/11"])) == {"train"}
    assert split.from_parts(table).protocol == "speakers"
    kept_out = emodb.assign(part=emodb["part"].where(emodb.index > 3, ""))
    assert (index.hold_out(kept_out, ["03"])["part"][:4] == "").all()


def test_who_cannot_be_held_out_is_said(emodb):
    with pytest.raises(ValueError, match="no speaker is called '99'; expected some of emodb/03, emodb/11"):
        index.hold_out(emodb, ["99"])
    with pytest.raises(ValueError, match="all speakers are to be tested"):
        index.hold_out(emodb, emodb["speaker"].unique())
    other = emodb.assign(**{c: emodb[c].str.replace("emodb", "mine") for c in ("utterance", "corpus", "speaker")})
    other.attrs = {"corpus": "mine"}
    with pytest.raises(ValueError, match="several speakers are called '03'; expected some of emodb/03, mine/03"):
        index.hold_out(index.join([emodb, other]), ["03"])
