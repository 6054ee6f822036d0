"""Corpora of the user's own, by passport or by table; and the further versions of labels that passports declare."""

import json
import re
import time
import unicodedata
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from conftest import REAL, real
from serlib import audio, corpora, doctor, evaluate, features, figures, index, metrics, recipes, split

PASSPORT = """\
# What we recorded in spring
id = "spring"
title = "Voices of spring"
language = "eng"

[names]
# as in s1_ang_01b.wav
pattern = '(?P<speaker>s[123])_(?P<emotion>ang|joy|sad)_(?P<sentence>[0-9]{2})(?P<take>[ab]?)'

[emotions]
ang = "anger"
joy = "happiness"

sad = "sadness"

[speakers]
s1 = { gender = "female", age = 30, ethnicity = "Frisian" }
s2 = { gender = "male" }
s3 = {}

[published]
n_utterances = 6
by_emotion = { anger = 2, happiness = 2, sadness = 2 }

[[defects]]
utterances = ["s1_ang_01a"]
flag = "noisy"
policy = "keep"
what = "a lorry passes"

[[defects]]
utterances = ["s2_sad_01"]
flag = "cut"
policy = "drop"
"""
NAMES = ("s1_ang_01a", "s2_ang_01", "s1_joy_01", "s3_joy_02b", "s2_sad_01", "s3_sad_01")

TABLE = """\
path,emotion,speaker,gender,age,sentence
day 1/a.wav,anger,Ann,female,30,hello
day 1/b.wav,sadness,Ann,female,30,
day 2/a.wav,anger,Ben,male,,hello
day 2/b.wav,sadness,Ben,male,,
day 2/c.flac,boredom,Cem,,,
"""
LISTED = ("day 1/a.wav", "day 1/b.wav", "day 2/a.wav", "day 2/b.wav", "day 2/c.flac")


@pytest.fixture
def full(workplace, monkeypatch):
    """The folder in which the profile looks for corpora."""
    monkeypatch.setenv("SERLIB_PROFILE", "full")
    monkeypatch.setenv("SERLIB_DATA", str(workplace / "data"))
    return workplace / "data"


@pytest.fixture
def spring(full, wavs):
    """A corpus by passport, where the profile looks for it."""
    wavs(*(f"{name}.wav" for name in NAMES), root=full / "recordings")
    (full / "recordings" / "passport.toml").write_text(PASSPORT)
    return full / "recordings"


@pytest.fixture
def days(full, wavs):
    """A corpus by table, where the profile looks for it."""
    wavs(*LISTED, root=full / "My days")
    (full / "My days" / "utterances.csv").write_text(TABLE)
    return full / "My days"


# By passport


def test_a_passport_makes_a_corpus(spring):
    table = index.scan(spring)
    assert table.attrs["corpus"] == "spring"
    assert table.attrs["problems"] == []
    assert list(table["utterance"]) == sorted(f"spring/{name}" for name in NAMES)
    row = table.set_index("utterance").loc["spring/s1_ang_01a"]
    assert (row["speaker"], row["gender"], row["emotion"]) == ("spring/s1", "female", "anger")
    assert (row["age"], row["race"], row["ethnicity"]) == (30, "", "Frisian")
    assert (row["sentence"], row["take"], row["intensity"]) == ("01", "a", "")
    assert table["age"].isna().sum() == 4


def test_speakers_that_a_passport_does_not_list_are_not_the_corpus(spring):
    (spring / "passport.toml").write_text(PASSPORT.replace("s3 = {}\n", ""))
    table = index.scan(spring)
    assert set(table["speaker"]) == {"spring/s1", "spring/s2"}
    (strange,) = (line for line in table.attrs["problems"] if "not named" in line)
    assert "'s3_joy_02b.wav', 's3_sad_01.wav'" in strange


def test_declared_defects_are_flagged_and_only_dropped_ones_kept_out(spring):
    table = index.scan(spring).set_index("utterance")
    assert (table.loc["spring/s1_ang_01a", "flags"], table.loc["spring/s1_ang_01a", "part"] != "") == ("noisy", True)
    assert (table.loc["spring/s2_sad_01", "flags"], table.loc["spring/s2_sad_01", "part"]) == ("cut", "")
    assert [row["utterance"] for row in table.attrs["dropped"]] == ["spring/s2_sad_01"]
    notes = {finding.path: finding for finding in doctor.compare_copy(spring).findings}
    assert notes["s1_ang_01a.wav"].found == "noisy: a lorry passes"
    assert notes["s1_ang_01a.wav"].next == "nothing to do: 'index' flags it, and keeps it out if its policy is 'drop'"


def test_what_a_passport_declares_is_compared_with_the_files(spring, wavs):
    report = doctor.compare_copy(spring)
    assert (report.corpus, report.ok, report.n_found, report.n_expected) == ("spring", True, 6, 6)
    assert report.verdict == "spring: in order; 6 of 6 utterances"
    (spring / "s3_sad_01.wav").unlink()
    wavs("s1_joy_09.wav", "lorry.wav", root=spring)
    counts = [(f.kind, f.path, f.found, f.expected) for f in doctor.compare_copy(spring).findings]
    assert counts[:3] == [
        (
            "unknown",
            "lorry.wav",
            "the name lorry.wav",
            f"names like the pattern {corpora.own(spring).names.pattern}",
        ),
        ("count", "", "3 utterances of happiness", "2, as declared"),
        ("count", "", "1 utterances of sadness", "2, as declared"),
    ]


def test_a_passport_may_declare_only_how_many_utterances_there_are(spring):
    text = "".join(line for line in PASSPORT.splitlines(keepends=True) if "by_emotion" not in line)
    (spring / "passport.toml").write_text(text.replace("n_utterances = 6", "n_utterances = 7"))
    (finding,) = (finding for finding in doctor.compare_copy(spring).findings if finding.kind == "count")
    assert (finding.found, finding.expected) == ("6 utterances", "7, as declared")
    (spring / "passport.toml").write_text(text.replace("n_utterances = 6", ""))
    assert doctor.compare_copy(spring).verdict == "spring: in order; 6 utterances"
    by_emotion = "by_emotion = { anger = 2 }"
    (spring / "passport.toml").write_text(text.replace("n_utterances = 6", by_emotion))
    report = doctor.compare_copy(spring)
    assert (report.n_found, report.n_expected) == (6, 2)
    counts = [(f.found, f.expected) for f in report.findings if f.kind == "count"]
    assert counts == [("2 utterances of happiness", "0, as declared"), ("2 utterances of sadness", "0, as declared")]


def test_a_small_passport_will_do_and_the_folder_gives_the_name(tmp_path, wavs):
    root = wavs("ann_w1.wav", "ben_w1.WAV", root=tmp_path / "my_words")
    text = "[names]\npattern = '(?P<speaker>[a-z]+)_(?P<emotion>w)1'\n[emotions]\nw = 'anger'\n"
    (root / "passport.toml").write_text(text)
    table = index.scan(root)
    assert list(table["speaker"]) == ["my_words/ann", "my_words/ben"]
    passport = corpora.own(root)
    assert (passport.id, passport.title, passport.n_utterances) == ("my_words", "my_words", None)
    assert list(passport.label_versions) == ["file-names"]


def test_all_that_names_can_say_is_read(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "passport.toml").write_text("""
[names]
pattern = '(?:(?P<speaker>[A-Za-z]+)-)?(?P<sentence>[A-Za-z]+)(?P<emotion>[WF])(?P<intensity>[12])'
stem = "{speaker}:{sentence}"
sentence = "{sentence}/{emotion}"
suffixes = [".flac", ".wav"]
speaker_folder = true
lower_case_sentence = true
same_speaker = { anne = "ann" }
same_intensity = { 1 = "weak" }

[emotions]
W = "anger"
F = "happiness"
""")
    passport = corpora.own(tmp_path / "mine")
    parsed = corpora.Parsed("ann:hello", "ann", "anger", "hello/W", "", "weak")
    assert passport.parse("ann/HelloW1.wav") == parsed
    assert passport.parse("x/Anne-HelloW1.FLAC") == parsed
    assert passport.parse("ann/HelloF2.wav").intensity == "2"
    assert passport.parse("ann/HelloW1.mp3") is None
    assert passport.parse("HelloW1.wav") is None


def test_a_corpus_of_ones_own_is_found_by_its_id_where_the_profile_looks(spring, days):
    assert corpora.get("Spring").home == spring
    assert corpora.get("my-days").home == days
    assert corpora.find_all(spring.parent) == {"my-days": days, "spring": spring}
    assert corpora.find_folder(spring.parent, "spring") == spring
    with pytest.raises(ValueError, match="corpus 'autumn' is unknown; use one of emovo, .*, my-days, spring"):
        corpora.get("autumn")


def test_two_corpora_of_one_id_are_refused(spring, full):
    (full / "again").mkdir()
    (full / "again" / "passport.toml").write_text(PASSPORT.replace('"spring"', '"Spring"'))
    passports, mistakes = corpora.own_in(full)
    assert list(passports) == ["Spring"]
    assert "the corpora in 'again' and 'recordings' in" in mistakes["recordings"]
    with pytest.raises(ValueError, match=r"'anything' is unknown; .*Not read: spring: the corpora in 'again' and"):
        corpora.get("anything")


def test_a_mistake_in_one_passport_spoils_no_other_corpus(spring, days):
    (days / "utterances.csv").write_text("path,emotion,speaker\na.wav,angry,Ann\n")
    tables, missing = index.at_hand()
    assert list(tables) == ["spring"]
    assert "utterances.csv, line 2: emotion is 'angry'" in missing[days.name]
    assert list(corpora.find_all(days.parent)) == ["spring"]


def test_a_table_in_the_folder_of_one_of_the_seven_is_not_its_passport(full, wavs):
    folder = wavs("wav/03a01Fa.wav", root=full / "EMODB")
    (folder / "utterances.csv").write_text("file;label\n")
    assert len(index.load("emodb")) == 1
    assert len(index.scan(folder, "EMO-DB")) == 1
    assert corpora.own_in(full) == ({}, {})


def test_doctor_says_which_part_of_a_name_is_not_declared(spring):
    (spring / "passport.toml").write_text(PASSPORT.replace("s3 = {}\n", ""))
    found = {finding.found for finding in doctor.compare_copy(spring).findings if finding.kind == "unknown"}
    assert found == {"the speaker 's3', whom [speakers] does not declare"}
    (spring / "passport.toml").write_text(PASSPORT.split("[published]")[0].replace('sad = "sadness"\n', ""))
    found = {finding.found for finding in doctor.compare_copy(spring).findings if finding.kind == "unknown"}
    assert found == {"the code 'sad', which [emotions] does not declare"}


def test_another_format_is_to_be_declared(spring):
    audio.write(spring / "s1_joy_02.flac", np.full(800, 0.1, np.float32), 16000)
    (found,) = [finding for finding in doctor.compare_copy(spring).findings if finding.kind == "container"]
    assert found.next == "name '.flac' among the suffixes in [names]"


def test_a_folder_of_what_cannot_be_read_is_not_in_order(full):
    (full / "phone").mkdir(parents=True)
    (full / "phone" / "passport.toml").write_text(PASSPORT.split("[published]")[0])
    (full / "phone" / "s1_joy_02.m4a").write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(99))
    report = doctor.compare_copy(full / "phone")
    assert not report.ok
    assert sorted(finding.kind for finding in report.findings) == ["count", "unreadable"]
    assert "export it again" in {finding.next.split(",")[0] for finding in report.findings}


def test_a_listed_file_that_is_no_sound_file_is_told_from_one_that_is_gone(days):
    text = (days / "utterances.csv").read_text()
    (days / "utterances.csv").write_text(text + "day 2/d.txt,anger,Ben,male,,\nday 2/e.wav,anger,Ben,male,,\n")
    (days / "day 2" / "d.txt").write_text("no sound")
    missing = {finding.path: finding.found for finding in doctor.compare_copy(days).findings}
    assert missing["day 2/d.txt"].startswith("a file whose suffix is none of .wav")
    assert missing["day 2/e.wav"] == "no such file"


def test_one_recording_under_two_names_is_found(spring):
    (spring / "s3_sad_01.wav").write_bytes((spring / "s1_joy_01.wav").read_bytes())
    (found,) = [finding for finding in doctor.compare_copy(spring).findings if finding.kind == "identical"]
    assert (found.path, found.found) == ("s3_sad_01.wav", "the same recording as s1_joy_01.wav")


def test_ones_own_corpora_are_at_hand_beside_the_seven(spring, days):
    tables, missing = index.at_hand()
    assert {name: len(table) for name, table in tables.items()} == {"my-days": 5, "spring": 6}
    assert set(missing) == set(corpora.NAMES)


def test_ones_own_corpus_goes_through_the_stages(spring, days):
    table = index.load("spring")
    assert [len(test) for _, _, test in split.loso(table)] == [2, 1, 2]
    assert split.speakers(table, n_folds=3).n_folds == 3
    assert split.from_parts(table).n_folds == 1
    crossed = split.cross_corpus(table, index.load("my-days"))
    assert set(crossed.table["emotion"]) == {"anger", "sadness"}
    vectors = features.extract(table, features=recipes.get("paper").features)
    assert vectors.shape == (6, 50)


def test_a_changed_passport_is_noticed(spring):
    assert index.load("spring").set_index("utterance").loc["spring/s1_joy_01", "emotion"] == "happiness"
    (spring / "passport.toml").write_text(
        PASSPORT.replace('"happiness"', '"surprise"').replace("happiness", "surprise")
    )
    assert index.load("spring").set_index("utterance").loc["spring/s1_joy_01", "emotion"] == "surprise"


def test_without_a_name_or_passport_nobody_knows_what_a_folder_holds(wavs):
    message = "no corpus is named, and .* holds neither passport.toml nor utterances.csv; say which corpus it is"
    with pytest.raises(ValueError, match=message):
        index.scan(wavs("a.wav"))


# By table


def test_a_table_makes_a_corpus(days):
    table = index.scan(days)
    assert (table.attrs["corpus"], table.attrs["labels"], table.attrs["problems"]) == ("my-days", "table", [])
    first, *_, last = table.to_dict("records")
    assert (first["utterance"], first["path"]) == ("my-days/day 1/a", "day 1/a.wav")
    assert (first["speaker"], first["gender"], first["age"]) == ("my-days/Ann", "female", 30)
    assert (first["emotion"], first["sentence"]) == ("anger", "hello")
    assert (last["utterance"], last["speaker"], last["gender"]) == ("my-days/day 2/c", "my-days/Cem", "")
    assert pd.isna(last["age"])
    assert [len(test) for _, _, test in split.loso(table)] == [2, 2, 1]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_as_others_write_it_is_the_same_corpus_and_says_what_was_taken_for_what(days, separator):
    expected = index.scan(days)
    assert expected.attrs["problems"] == []
    head, *rows = TABLE.replace("female", "F").replace(",male", ",m").splitlines()
    assert head == "path,emotion,speaker,gender,age,sentence"
    lines = ["Filename,duration,LABEL,actor,sex,age,text", *(row.replace(",", ",1.5,", 1) for row in rows)]
    (days / "utterances.csv").write_text("\n".join(lines).replace(",", separator))
    table = index.scan(days)
    pd.testing.assert_frame_equal(table, expected)
    (said,) = table.attrs["problems"]
    assert said == (
        "utterances.csv: 'Filename' is taken for path; 'LABEL' is taken for emotion; 'actor' is taken for speaker;"
        " 'sex' is taken for gender; 'text' is taken for sentence; kept aside: 'duration'"
    )


def test_a_table_of_nkululeko_or_audformat_is_the_same_corpus(days):
    expected = index.scan(days)[["path", "emotion", "speaker", "gender"]]
    rows = expected.assign(speaker=expected["speaker"].str.removeprefix("my-days/"), start="0 days", end="")
    rows["predicted"] = "neutral"  # as `nkululeko.predict` adds it
    rows = rows.rename(columns={"path": "file"})[["file", "start", "end", "speaker", "gender", "emotion", "predicted"]]
    rows.to_csv(days / "utterances.csv", index=False)
    table = index.scan(days)
    pd.testing.assert_frame_equal(table[list(expected)], expected)
    (said,) = table.attrs["problems"]
    assert said == "utterances.csv: 'file' is taken for path; kept aside: 'start', 'end', 'predicted'"


def test_a_name_with_an_umlaut_is_found_however_the_system_spells_it(days):
    composed, apart = (unicodedata.normalize(form, "day 1/ä.wav") for form in ("NFC", "NFD"))
    assert composed != apart
    (days / "day 1" / "a.wav").rename(days / apart)  # as macOS and its zips write it
    (days / "utterances.csv").write_text(TABLE.replace("day 1/a.wav", composed), encoding="utf-8")
    table = index.scan(days)
    assert table.attrs["problems"] == []
    assert dict(zip(table["utterance"], table["path"], strict=True))["my-days/day 1/ä"] == apart


def test_a_table_with_a_split_of_its_own_keeps_it(days):
    given = ["train", "TRAINING", "dev", "test", "val"]
    head, *rows = TABLE.splitlines()
    lines = [f"{head},Split", *(f"{row},{part}" for row, part in zip(rows, given, strict=True))]
    (days / "utterances.csv").write_text("\n".join(lines))
    table = index.scan(days)
    assert table["part"].tolist() == ["train", "train", "validation", "test", "validation"]
    assert table.attrs["protocol"] == "given-parts"
    assert index.parts(table).loc["all"].to_dict() == {"total": 5, "train": 2, "validation": 2, "test": 1}
    index.write(table, days.parent / "days.csv")
    assert split.from_parts(index.read(days.parent / "days.csv")).table["fold"].tolist() == [-1, -1, -2, 0, -2]
    assert split.make(table, "given-parts").table["fold"].tolist() == [-1, -1, -2, 0, -2]
    recipe = recipes.get("mfcc-mean+logistic")
    result = evaluate.load_or_run("my-days", protocol="given-parts", recipe=recipe)
    assert result.predictions["utterance"].tolist() == ["my-days/day 2/b"]
    (days / "utterances.csv").write_text("\n".join(lines).replace("TRAINING", "monday"))
    with pytest.raises(ValueError, match="utterances.csv, line 3: part is 'monday'; expected one of train, training,"):
        index.scan(days)


def test_words_of_ones_own_go_through_the_stages(days):
    (days / "utterances.csv").write_text(TABLE.replace("boredom", "überdruss"))
    assert doctor.compare_copy(days).ok
    table = index.scan(days)
    assert list(index.parts(table).index) == ["anger", "sadness", "überdruss", "all"]
    drawn = split.loso(table)
    X = features.extract(drawn.table, features=recipes.get("mfcc-mean+logistic").features)
    scored = evaluate.cross_validate(drawn, X, recipe=recipes.get("mfcc-mean+logistic"))
    assert metrics.emotions_of(scored.predictions) == ("anger", "sadness", "überdruss")
    figures.draw_confusion(scored.predictions)
    figures.draw_parts(index.parts(table))
    figures.draw_comparison(table)


def test_a_passport_goes_before_a_table(days):
    (days / "passport.toml").write_text(PASSPORT)
    assert corpora.own(days).id == "spring"


def test_listed_files_that_are_not_there_and_others_that_are_not_listed_are_told(days, wavs):
    (days / "day 1" / "b.wav").unlink()
    wavs("day 3/a.wav", root=days)
    problems = index.scan(days).attrs["problems"]
    assert any("not named" in line and "'day 3/a.wav'" in line for line in problems)
    assert any("1 missing: 'day 1/b.wav'" in line for line in problems)
    report = doctor.compare_copy(days)
    assert [(f.kind, f.path) for f in report.findings] == [("missing", "day 1/b.wav"), ("unknown", "day 3/a.wav")]
    assert report.findings[0].next == "put it there, or take its line out of utterances.csv"
    assert report.verdict == "my-days: not in order; 4 of 5 utterances are there, 2 findings"


def test_a_copy_of_a_listed_file_is_told(days):
    (days / "day 1" / "a (2).wav").write_bytes((days / "day 1" / "a.wav").read_bytes())
    assert [(f.kind, f.path) for f in doctor.compare_copy(days).findings] == [("doubled", "day 1/a (2).wav")]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("day 1/", "day 1\\"),
        TABLE.replace("day 1/", "./day 1/"),
        TABLE.replace("\n", "\n\n"),
        re.sub("(day ..*?),", r'"\1",', TABLE),
    ],
    ids=["byte order mark", "line ends of Windows", "paths of Windows", "dots", "empty lines", "quotes"],
)
def test_a_table_may_come_from_any_program(days, text):
    expected = index.scan(days)
    (days / "utterances.csv").write_bytes(text.encode())
    pd.testing.assert_frame_equal(index.scan(days), expected)


# Mistakes in a passport: what is replaced by what; what the message says; which line it names, if not the first changed

MISTAKES = {
    "an unknown key": (
        'language = "eng"',
        'lang = "eng"',
        "the passport has the unknown key 'lang'; expected one of id, title, folder, .*. Correct it$",
    ),
    "a key of another table": (
        "n_utterances = 6",
        "utterances = 6",
        "published has the unknown key 'utterances'; expected one of n_utterances, by_emotion",
    ),
    "a number for text": ('title = "Voices of spring"', "title = 3", "title is 3; expected text in quotes"),
    "an unknown key of the names": (
        "# as in",
        'steam = "{speaker}" #',
        "names has the unknown key 'steam'; expected one of",
    ),
    "text for a number": (
        "n_utterances = 6",
        'n_utterances = "6"',
        "published.n_utterances is '6'; expected a whole number",
    ),
    "text for a list": (
        'utterances = ["s2_sad_01"]',
        'utterances = "s2"',
        "defects.utterances is 's2'; expected a list, \\[\\[...\\]\\] or \\[...\\]",
    ),
    "numbers in a list": (
        'utterances = ["s2_sad_01"]',
        "utterances = [2]",
        "defects.utterances is 2; expected text in quotes",
    ),
    "text for a count": (
        "by_emotion = { anger = 2,",
        'by_emotion = { anger = "2",',
        "published.by_emotion is {'anger': '2', .*; expected each to be a whole number",
    ),
    "a table for text": ('title = "Voices of spring"', "title = { en = 'x' }", "title is {'en': 'x'}; expected text"),
    "many for one": (
        "[published]",
        "[[published]]",
        "published is \\[{'n_utterances': 6, .*; expected a table, \\[...\\] or {...}",
    ),
    "no pattern": (
        "pattern =",
        "stem =",
        "names has no 'pattern'; expected a regular expression of the file names",
        "[names]",
    ),
    "no regular expression": (
        "(?P<speaker>s",
        "((?P<speaker>s",
        "the pattern '.*' does not compile \\(missing \\) at position 83\\); expected a regular",
    ),
    "no emotion": (
        "(?P<emotion>",
        "(?P<feeling>",
        "the pattern has no group \\(\\?P<emotion>...\\); expected emotion, speaker",
    ),
    "a stem of no group": (
        "# as in",
        'stem = "{speaker}{word}" #',
        "stem is '{speaker}{word}', where 'word' is no group of the pattern, or has a format; expected {emotion} or",
    ),
    "a sentence of no group": (
        "# as in",
        'sentence = "{text:>3}" #',
        "sentence is '{text:>3}', where 'text' is no group of the pattern, or has a format; expected {emotion}",
    ),
    "more than a group in braces": ("# as in", 'stem = "{take:>3}" #', "stem is '{take:>3}', where 'take' is"),
    "braces without a group": ("# as in", 'stem = "{}" #', "stem is '{}', where '' is no group of the pattern"),
    "an open brace": (
        "# as in",
        'stem = "{take" #',
        "stem is '{take' \\(expected '}' before end of string\\); expected {emotion} or {intensity}",
    ),
    "an unknown emotion": (
        'joy = "happiness"',
        'joy = "joy"',
        "code 'joy' means 'joy'; expected 'happiness'",
    ),
    "an emotion that is no word": (
        'joy = "happiness"',
        'joy = "Pride!"',
        "code 'joy' means 'Pride!'; expected one of .*surprise, or a word of your own in lower case. Correct it$",
    ),
    "a number for an emotion": ('joy = "happiness"', "joy = 3", "code 'joy' means 3; expected one of anger"),
    "a bad gender": (
        '{ gender = "male" }',
        '{ gender = "m" }',
        "speakers.s2.gender is 'm'; expected 'female', 'male' or none",
    ),
    "a bad key of a speaker": (
        '{ gender = "male" }',
        '{ sex = "male" }',
        "speakers.s2 has the unknown key 'sex'; expected one of gender, age, race",
    ),
    "an age beyond all": (
        "age = 30",
        "age = 1000000000000000000000000000000",
        "speakers.s1.age is 1000000000000000000000000000000; expected a whole number <= 150",
    ),
    "truth for an age": ("age = 30", "age = true", "speakers.s1.age is True; expected a whole number"),
    "a word for a speaker": (
        '{ gender = "male" }',
        '"male"',
        "speakers.s2 is 'male'; expected a table, \\[...\\] or {...}",
    ),
    "a bad policy": ('policy = "drop"', 'policy = "delete"', "defects.policy is 'delete'; expected 'drop' or 'keep'"),
    "no flag": ('flag = "cut"', "", "defects has no 'flag'; expected utterances, flag, policy", "[[defects]]"),
    "counts that do not add up": (
        "n_utterances = 6",
        "n_utterances = 7",
        "n_utterances is 7; expected 6, the sum of by_emotion",
    ),
    "a count of no code": (
        "sadness = 2 }",
        "fear = 2 }",
        "by_emotion counts 'fear'; expected emotions of \\[emotions\\]: anger, happiness, sadness",
    ),
    "the id of a shipped corpus": (
        'id = "spring"',
        'id = "Emo-DB"',
        "the id 'Emo-DB' is that of EMODB, .*; expected another",
    ),
    "an id that is no name": (
        'id = "spring"',
        'id = "our/own"',
        "the corpus is called 'our/own'; expected letters, digits",
    ),
    "versions of labels": (
        'language = "eng"',
        'labels = { heard = "as listeners said" }',
        r"a corpus of your own has one version of labels; expected no \[labels\]",
    ),
}


def complaint(folder, text, name="passport.toml"):
    """Return what is said of a passport or table, without the folder that it lies in."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        corpora.own(folder)
    return str(caught.value).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("old", "new", "message", "line"), [(*case, "")[:4] for case in MISTAKES.values()], ids=MISTAKES
)
def test_a_mistake_in_a_passport_is_told_with_its_line(tmp_path, old, new, message, line):
    assert old in PASSPORT
    before, after = PASSPORT.splitlines(), PASSPORT.replace(old, new, 1).splitlines()
    changed = next(number for number, (was, now) in enumerate(zip(before, after, strict=True), 1) if was != now)
    number = max(number for number, text in enumerate(after, 1) if text == line) if line else changed
    assert re.match(rf"passport.toml, line {number}: {message}", complaint(tmp_path / "mine", "\n".join(after)))


NAMES_OK = "[names]\npattern = '(?P<speaker>s)(?P<emotion>a)'\n"
EMOTIONS_OK = "[emotions]\na = 'anger'\n"
SHAPES = {  # a passport in other spellings, the wrong line marked; what the message says
    "tables in another order": (
        f"[speakers]\ns = {{ gender = 'x' }} # HERE\n\n# a comment\n{EMOTIONS_OK}{NAMES_OK}",
        "speakers.s.gender is 'x'",
    ),
    "a table within braces": (f"emotions = {{ a = 'Wrath' }} # HERE\n{NAMES_OK}", "code 'a' means 'Wrath'"),
    "names within braces": (
        f"title = 'x'\nnames = {{ pattern = '(' }} # HERE\n{EMOTIONS_OK}",
        "the pattern '\\(' does not compile",
    ),
    "dotted keys": (
        f"names.pattern = '(' # HERE\nnames.stem = 'x'\n{EMOTIONS_OK}",
        "the pattern '\\(' does not compile",
    ),
    "dotted keys in a table": (
        f"{NAMES_OK}{EMOTIONS_OK}[speakers]\ns.age = 3\ns . gender = 'x' # HERE\n",
        "speakers.s.gender is 'x'",
    ),
    "a table for each speaker": (
        f"{NAMES_OK}{EMOTIONS_OK}[speakers.r]\nage = 3\n[ speakers . s ] # more\nage = 3\ngender = 'x' # HERE\n",
        "speakers.s.gender is 'x'",
    ),
    "keys in quotes": (
        f"""{NAMES_OK}{EMOTIONS_OK}["speakers"]\n'r.s' = {{}}\n"s" = {{ gender = 'x' }} # HERE\n""",
        "speakers.s.gender is 'x'",
    ),
    "a table of counts": (
        f"{NAMES_OK}{EMOTIONS_OK}[published]\nn_utterances = 3\n[published.by_emotion]\nfear = 3 # HERE\n",
        "by_emotion counts 'fear'; expected",
    ),
    "a sum over two tables": (
        f"{NAMES_OK}{EMOTIONS_OK}[published.by_emotion]\nanger = 3\n[published]\nn_utterances = 4 # HERE\n",
        "n_utterances is 4; expected 3, the sum of by_emotion",
    ),
    "the second of three defects": (
        f"{NAMES_OK}{EMOTIONS_OK}"
        + "[[defects]]\nutterances = []\nflag = 'f'\npolicy = 'keep'\n"
        + "[[defects]]\npolicy = 'x' # HERE\nutterances = []\nflag = 'f'\n"
        + "[[defects]]\nutterances = []\nflag = 'f'\npolicy = 'drop'\n",
        "defects.policy is 'x'",
    ),
    "defects in a list": (
        f"defects = [ # HERE\n  {{ utterances = [], flag = 'f' }},\n]\n{NAMES_OK}{EMOTIONS_OK}",
        "defects has no 'policy'; expected 'drop' or 'keep'",
    ),
    "one defect in single brackets": (
        f"{NAMES_OK}{EMOTIONS_OK}[defects] # HERE\nutterances = []\nflag = 'f'\npolicy = 'keep'\n",
        r"defects is {'utterances': .*; expected a list, \[\[...\]\] or \[...\]",
    ),
    "others without a kind": (
        f"{NAMES_OK}{EMOTIONS_OK}[[others]]\npattern = 'x'\nkind = 'k'\nwhat = 'w'\n[[others]] # HERE\npattern = 'x'\n",
        "others has no 'kind'; expected pattern, kind, what",
    ),
    "others that are no pattern": (
        f"{NAMES_OK}{EMOTIONS_OK}[[others]]\nkind = 'k'\nwhat = 'w'\npattern = '[' # HERE\n",
        r"the pattern '\[' does not compile \(unterminated character set",
    ),
    "a text of many lines": (
        f'notes = ["""\n[names]\npattern = 3\n"""]\nlanguage = 3 # HERE\n{NAMES_OK}{EMOTIONS_OK}',
        "language is 3",
    ),
    "signs that some take for line ends": (
        f"title = 'one\u2028two\x85three'\nlanguage = 3 # HERE\n{NAMES_OK}{EMOTIONS_OK}",
        "language is 3",
    ),
    "a list of many lines": (
        f"notes = [\n  'a',\n  'b'\n]\nlanguage = 3 # HERE\n{NAMES_OK}{EMOTIONS_OK}",
        "language is 3",
    ),
    "no sentence to write small": (
        "[names]\nlower_case_sentence = true\npattern = '(?P<speaker>s)(?P<emotion>a)' # HERE\n" + EMOTIONS_OK,
        r"the pattern has no group \(\?P<sentence>...\)",
    ),
    "emotions as text": (
        f"emotions = 'anger' # HERE\n{NAMES_OK}",
        r"emotions is 'anger'; expected a line for each code below \[emotions\]",
    ),
    "no codes": (
        f"{NAMES_OK}[emotions] # HERE\n",
        r"emotions is {}; expected a line for each code below \[emotions\], as in W =",
    ),
}


@pytest.mark.parametrize(("text", "message"), SHAPES.values(), ids=SHAPES)
def test_the_line_is_right_however_the_passport_is_written(tmp_path, text, message):
    (number,) = (number for number, line in enumerate(text.split("\n"), 1) if "# HERE" in line)
    assert re.match(f"passport.toml, line {number}: {message}", complaint(tmp_path / "mine", text))
    assert re.match(
        f"passport.toml, line {number}: {message}", complaint(tmp_path / "mine", text.replace("\n", "\r\n"))
    )


def test_a_passport_without_the_tables_that_all_have_is_told_so(tmp_path):
    assert complaint(tmp_path / "a", "") == (
        "passport.toml: the passport has no 'names'; expected [names] with a pattern. Correct it"
    )
    assert complaint(tmp_path / "b", NAMES_OK).startswith(
        "passport.toml: the passport has no 'emotions'; expected a line for each code below [emotions], as in W"
    )


@pytest.mark.parametrize("key", ["home = '/'", "listed = {}", "codes = {}"])
def test_what_serlib_itself_knows_of_a_corpus_cannot_be_declared(tmp_path, key):
    message = f"the passport has the unknown key '{key.split()[0]}'; expected one of id, title"
    assert complaint(tmp_path / "a", f"{key}\n{NAMES_OK}{EMOTIONS_OK}").startswith(f"passport.toml, line 1: {message}")


def test_listeners_rates_are_shares(tmp_path):
    listeners = "[[listeners]]\ncondition = 'x'\nsource = 'y'\nuar = 93.5\n"
    assert complaint(tmp_path / "a", NAMES_OK + EMOTIONS_OK + listeners) == (
        "passport.toml, line 8: listeners.uar is 93.5; expected a number <= 1.0. Correct it"
    )


def test_the_line_is_found_in_a_long_passport_at_once(tmp_path):
    speakers = "".join(f"s{k} = {{ age = 30 }}\n" for k in range(5000))
    text = f"{NAMES_OK}{EMOTIONS_OK}[speakers]\n{speakers}last = {{ age = -1 }}\n"
    started = time.process_time()
    assert "line 5006: speakers.last.age is -1; expected a whole number >= 0" in complaint(tmp_path / "a", text)
    assert time.process_time() - started < 20


def test_what_is_no_toml_or_no_utf_8_is_told(tmp_path):
    broken = PASSPORT.replace('title = "Voices', "title = Voices")
    assert re.match(
        r"passport.toml is not TOML: .* \(at line 3, column .*Correct that line", complaint(tmp_path / "a", broken)
    )
    latin = PASSPORT.replace("Voices", "Stimmen für").encode("latin-1")
    assert re.match(r"passport.toml is not text in UTF-8 \(.*\); save it as UTF-8", complaint(tmp_path / "c", latin))


def test_a_byte_order_mark_does_no_harm_to_a_passport(tmp_path):
    (tmp_path / "passport.toml").write_text(PASSPORT, encoding="utf-8-sig")
    assert corpora.own(tmp_path).id == "spring"


@pytest.mark.parametrize("name", ["RAVDESS", "crema_d", "berlin"])
def test_a_folder_called_like_a_shipped_corpus_needs_an_id(tmp_path, name):
    message = f"the id '{name}' is that of .*; expected another"
    assert re.match(f"passport.toml: {message}", complaint(tmp_path / name, NAMES_OK + EMOTIONS_OK))
    (tmp_path / name / "passport.toml").write_text(f"id = 'mine'\n{NAMES_OK}{EMOTIONS_OK}")
    assert corpora.own(tmp_path / name).id == "mine"


# Mistakes in a table: what is replaced by what, and what the message says; the line is the first that changes

SLIPS = {
    "a missing column": (
        "path,emotion,speaker",
        "path,emotion,who",
        r"the column 'speaker' \(or speaker_id, actor, subject\) is missing; expected path,emotion,speaker",
    ),
    "a row too short": (
        "day 1/b.wav,sadness,Ann,female,30,",
        "day 1/b.wav,sadness,Ann",
        "expected 6 values, as in the first",
    ),
    "a row too long": ("female,30,hello", "female,30,hello,you", "expected 6 values, as in the first"),
    "an unknown emotion": ("boredom", "Bored", "emotion is 'Bored'; expected 'boredom'"),
    "no emotion": ("boredom", "", "emotion is ''; expected one of anger, boredom"),
    "a bad gender": ("Ben,male", "Ben,X", "gender is 'X'; expected 'female', 'male' or nothing"),
    "a bad age": (
        "female,30,hello",
        "female,about 30,hello",
        "age is 'about 30'; expected years as a whole number up to 150, or nothing",
    ),
    "a broken age": (
        "female,30,hello",
        "female,30.5,hello",
        "age is '30.5'; expected years as a whole number up to 150, or nothing",
    ),
    "an age beyond all": ("female,30,hello", f"female,{10**30},hello", f"age is '{10**30}'"),
    "no speaker": ("Cem", " ", "speaker is empty; expected who speaks, or no split can keep speakers apart"),
    "an absolute path": ("day 1/b.wav", "/day 1/b.wav", "path is '/day 1/b.wav'; expected that of a sound file below"),
    "a path that leads out": (
        "day 1/b.wav",
        "day 1/../../b.wav",
        r"path is 'day 1/\.\./\.\./b.wav'; expected that of a sound file",
    ),
    "a path of Windows that leads out": (
        "day 1/b.wav",
        r"day 1\..\b.wav",
        r"path is 'day 1\\\\\.\.\\\\b.wav'; expected",
    ),
    "a Windows drive": ("day 1/b.wav", r"C:\b.wav", r"path is 'C:\\\\b.wav'; expected that of a sound file below"),
    "no path": ("day 1/b.wav", "", "path is ''; expected that of a sound file below"),
    "a path twice": (
        "day 2/b.wav",
        "day 1/a.wav",
        "'day 1/a.wav' is there twice; expected one line for each utterance",
    ),
    "a path twice, otherwise": ("day 2/b.wav", r".\day 1\a.wav", "'day 1/a.wav' is there twice"),
    "a stem twice": ("day 2/c.flac", "day 2/b.flac", "'day 2/b.flac' is there twice; expected one line for each"),
    "two genders": (
        "day 2/b.wav,sadness,Ben,male",
        "day 2/b.wav,sadness,Ben,",
        "speaker 'Ben' has another gender or age",
    ),
    "two ages": (
        "day 1/b.wav,sadness,Ann,female,30",
        "day 1/b.wav,sadness,Ann,female,31",
        "speaker 'Ann' has another gender or age",
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), SLIPS.values(), ids=SLIPS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n"], ids=["plain", "Windows", "empty lines"])
def test_a_mistake_in_a_table_is_told_with_its_line(tmp_path, old, new, message, newline):
    assert old in TABLE
    before, after = (text.replace("\n", newline).splitlines() for text in (TABLE, TABLE.replace(old, new, 1)))
    number = next(number for number, (was, now) in enumerate(zip(before, after, strict=True), 1) if was != now)
    said = complaint(tmp_path / "mine", newline.join(TABLE.replace(old, new, 1).split("\n")), "utterances.csv")
    assert re.match(f"utterances.csv, line {number}: {message}", said)


def test_a_table_without_rows_or_in_another_encoding_is_refused(tmp_path):
    no_rows = complaint(tmp_path / "a", "path,emotion,speaker\n", "utterances.csv")
    assert no_rows == "utterances.csv has no rows; expected one per utterance"
    latin = complaint(tmp_path / "b", TABLE.replace("Ann", "Änn").encode("latin-1"), "utterances.csv")
    assert re.match(r"utterances.csv is not text in UTF-8 \(.*\); save it as UTF-8", latin)
    excel = complaint(tmp_path / "c", TABLE.encode("utf-16"), "utterances.csv")
    assert re.match(r"utterances.csv is not text in UTF-8 \(.*\); save it as UTF-8", excel)
    assert complaint(tmp_path / "d", "", "utterances.csv").startswith(
        "utterances.csv, line 1: the column 'path' (or file"
    )


def test_a_table_in_a_folder_called_like_a_shipped_corpus_is_refused(tmp_path):
    said = complaint(tmp_path / "EMO-DB", TABLE, "utterances.csv")
    assert re.match("utterances.csv: the id 'emo-db' is that of EMODB, .*; expected another", said)


# Versions of labels, and what is known of speakers


def of_names(corpus):
    """Return {stem: emotion} as the published names say."""
    passport = corpora.get(corpus)
    return {parsed.stem: parsed.emotion for parsed in map(passport.parse, passport.manifest()["path"])}


def test_shemos_corrected_labels_are_those_that_were_published():
    corrected, named = corpora.get("shemo").relabel("corrected"), of_names("shemo")
    assert corrected.keys() == named.keys()
    assert sum(corrected[stem] != named[stem] for stem in named) == 163
    assert Counter(corrected.values()) == {
        **{"neutral": 1160, "anger": 1042, "sadness": 361, "happiness": 203, "surprise": 202, "fear": 32}
    }


def test_crema_ds_perceived_labels_are_the_listeners_majorities():
    perceived = corpora.get("crema-d").relabel("perceived")
    assert perceived.keys() == of_names("crema-d").keys()
    assert Counter(perceived.values()) == {
        **{"neutral": 3897, "anger": 986, "fear": 645, "disgust": 547, "sadness": 370, "happiness": 353, "": 644}
    }


def test_the_version_of_labels_is_taken_and_recorded(wavs):
    root = wavs("female/F01A01.wav", "female/F01S23.wav", "female/F21F01.wav", sr=44100)
    table = index.scan(root, "shemo", label_version="corrected")
    assert table.attrs["labels"] == "corrected"
    assert list(table["emotion"]) == ["anger", "neutral", "surprise"]
    plain = index.scan(root, "shemo")
    assert plain.attrs["labels"] == "file-names"
    assert list(plain["emotion"]) == ["anger", "sadness", "fear"]


def test_what_most_listeners_did_not_agree_on_is_flagged_and_kept_out(wavs):
    # votes of processedResults/summaryTable.csv: A, a tie, N
    root = wavs(*(f"AudioWAV/{name}.wav" for name in ("1001_DFA_ANG_XX", "1001_IEO_ANG_MD", "1001_IEO_HAP_LO")))
    table = index.scan(root, "crema-d", label_version="perceived")
    assert list(table["emotion"]) == ["anger", "anger", "neutral"]
    assert list(table["flags"]) == ["", "unlabelled", ""]
    assert list(table["part"] != "") == [True, False, True]
    assert [row["flags"] for row in table.attrs["dropped"]] == ["unlabelled"]
    assert table.attrs["labels"] == "perceived"
    intended = index.scan(root, "crema-d", label_version="intended")
    assert list(intended["emotion"]) == ["anger", "anger", "happiness"]
    assert set(intended["flags"]) == {""}


def test_versions_that_do_not_exist_are_refused(spring, wavs):
    with pytest.raises(ValueError, match="shemo: labels 'perceived' are unknown; use one of file-names, corrected"):
        index.scan(wavs("F01A01.wav"), "shemo", label_version="perceived")
    with pytest.raises(ValueError, match="spring: labels 'corrected' are unknown; use one of file-names"):
        index.scan(spring, label_version="corrected")


def test_every_corpus_has_a_first_version_that_changes_nothing():
    for name in corpora.NAMES:
        passport = corpora.get(name)
        assert passport.relabel(next(iter(passport.label_versions))) == {}


def test_crema_ds_speakers_are_as_its_demographics_say(wavs):
    speakers = corpora.get("crema-d").speakers.values()
    assert Counter(speaker.ethnicity for speaker in speakers) == {"Not Hispanic": 81, "Hispanic": 10}
    races = {"Caucasian": 61, "African American": 22, "Asian": 7, "Unknown": 1}
    assert Counter(speaker.race for speaker in speakers) == races
    table = index.scan(wavs("1047_DFA_ANG_XX.wav", "1034_DFA_ANG_XX.wav"), "crema-d")
    columns = ["gender", "age", "race", "ethnicity"]
    assert table[columns].to_numpy().tolist() == [
        ["male", 74, "Caucasian", "Not Hispanic"],
        ["female", 22, "Unknown", "Hispanic"],
    ]


@pytest.mark.corpus
def test_crema_ds_race_and_ethnicity_agree_with_its_own_table():
    table = pd.read_csv(real("crema-d") / "VideoDemographics.csv", dtype={"ActorID": str})
    published = {row.ActorID: (row.Race, row.Ethnicity) for row in table.itertuples()}
    ours = {name: (speaker.race, speaker.ethnicity) for name, speaker in corpora.get("crema-d").speakers.items()}
    assert ours == published


@pytest.mark.corpus
def test_versions_of_labels_agree_with_what_their_makers_published():
    file, votes = (REAL or real("")) / "ShEMO" / "modified_shemo.json", REAL / "manifests/crema_d_voice_only_votes.csv"
    if not file.is_file() or not votes.is_file():
        pytest.skip("no published labels: ShEMO and manifests are not under SERLIB_DATA")
    published = json.loads(file.read_text(encoding="utf-8"))
    corrected = {name.removesuffix(".wav"): about["emotion"] for name, about in published.items()}
    assert corpora.get("shemo").relabel("corrected") == corrected
    letters = {"A": "anger", "D": "disgust", "F": "fear", "H": "happiness", "N": "neutral", "S": "sadness"}
    heard = pd.read_csv(votes, keep_default_na=False)
    perceived = {row.file: letters.get(row.emoVote, "") for row in heard.itertuples()}
    assert corpora.get("crema-d").relabel("perceived") == perceived
