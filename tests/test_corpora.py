"""One contract over all passports, and real published names, awkward ones first."""

import re

import numpy as np
import pandas as pd
import pytest

from conftest import real
from serlib import corpora, labels

PUBLISHED = {  # from the corpora's papers and readmes, not from our manifests
    "emovo": (588, 6, 3),
    "emodb": (535, 10, 5),
    "tess": (2800, 2, 2),
    "savee": (480, 4, 0),
    "ravdess": (1440, 24, 12),
    "crema-d": (7442, 91, 43),
    "shemo": (3000, 87, 31),
}

NAMES = [  # path, stem, speaker, emotion, sentence, take, intensity
    ("emovo", "EMOVO/f1/gio-f1-b1.wav", "gio-f1-b1", "f1", "happiness", "b1", "", ""),
    ("emovo", "data/EMOVO/f2/neu-f2-l3.wav", "neu-f2-l3", "f2", "neutral", "l3", "", ""),
    ("emovo", "m1/tri-m1-n5.wav", "tri-m1-n5", "m1", "sadness", "n5", "", ""),
    ("emovo", "rab-f1-b1.wav", "rab-f1-b1", "f1", "anger", "b1", "", ""),
    ("emodb", "wav/03a01Fa.wav", "03a01Fa", "03", "happiness", "a01", "a", ""),
    ("emodb", "Emo-db/wav/16b10Lb.wav", "16b10Lb", "16", "boredom", "b10", "b", ""),
    ("emodb", "dataset/Sad/10a07Ta.wav", "10a07Ta", "10", "sadness", "a07", "a", ""),
    ("emodb", "Berlin_EmoDatabase/train/female/sadness/14b03Ta.wav", "14b03Ta", "14", "sadness", "b03", "a", ""),
    ("emodb", "x/wav/a01/disgust/16a01Ec.wav", "16a01Ec", "16", "disgust", "a01", "c", ""),
    ("emodb", "EMO-DB_German_audio/Actor_02/09b03Ta.wav", "09b03Ta", "09", "sadness", "b03", "a", ""),
    ("emodb", "12a05Ad.WAV", "12a05Ad", "12", "fear", "a05", "d", ""),
    ("tess", "OAF_neutral/OA_bite_neutral.wav", "OAF_bite_neutral", "OAF", "neutral", "bite", "", ""),
    ("tess", "YAF_pleasant_surprised/YAF_thumb_ps.wav", "YAF_thumb_ps", "YAF", "surprise", "thumb", "", ""),
    (
        "tess",
        "TESS Toronto emotional speech set data/OAF_ripe_sad.wav",
        "OAF_ripe_sad",
        "OAF",
        "sadness",
        "ripe",
        "",
        "",
    ),
    ("tess", "Unused_Dataset/YAF_chair_disgust.wav", "YAF_chair_disgust", "YAF", "disgust", "chair", "", ""),
    ("tess", "tess/oaf_Pick_Happy.wav", "OAF_pick_happy", "OAF", "happiness", "pick", "", ""),
    ("savee", "AudioData/DC/a01.wav", "DC_a01", "DC", "anger", "a01", "", ""),
    ("savee", "Datasets/English/SAVEE/converted/KL/su15.wav", "KL_su15", "KL", "surprise", "su15", "", ""),
    ("savee", "ALL/JK_sa07.wav", "JK_sa07", "JK", "sadness", "sa07", "", ""),
    ("savee", "test_dataset/SAVEE/angry/DC_a01.wav", "DC_a01", "DC", "anger", "a01", "", ""),
    ("savee", "data/JE/n30.wav", "JE_n30", "JE", "neutral", "n30", "", ""),
    ("ravdess", "Actor_05/03-01-05-02-01-01-05.wav", "03-01-05-02-01-01-05", "05", "anger", "01", "01", "02"),
    (
        "ravdess",
        "ravdess_by_emotion/calm/03-01-02-01-02-01-24.wav",
        "03-01-02-01-02-01-24",
        "24",
        "calm",
        "02",
        "01",
        "01",
    ),
    ("ravdess", "data/03-01-06-02-02-02-03.wav", "03-01-06-02-02-02-03", "03", "fear", "02", "02", "02"),
    ("ravdess", "07_disgust/03-01-01-01-01-01-10.wav", "03-01-01-01-01-01-10", "10", "neutral", "01", "01", "01"),
    ("crema-d", "AudioWAV/1014_WSI_NEU_XX.wav", "1014_WSI_NEU_XX", "1014", "neutral", "WSI", "", "XX"),
    ("crema-d", "data/audio/1032_IEO_HAP_LO.wav", "1032_IEO_HAP_LO", "1032", "happiness", "IEO", "", "LO"),
    ("crema-d", "AudioWAV/train/1040_ITH_SAD_X.wav", "1040_ITH_SAD_XX", "1040", "sadness", "ITH", "", "XX"),
    ("crema-d", "datasets/crema-d/1001/1001_TAI_DIS_XX.wav", "1001_TAI_DIS_XX", "1001", "disgust", "TAI", "", "XX"),
    ("shemo", "female/F01A01.wav", "F01A01", "F01", "anger", "", "", ""),
    ("shemo", "shemo/M02F01.wav", "M02F01", "M02", "fear", "", "", ""),
    ("shemo", "DB/shemo/F/F24W20.wav", "F24W20", "F24", "surprise", "", "", ""),
]

NOT_THEIRS = [
    ("ravdess", "03-02-04-01-01-01-05.wav"),  # song
    ("ravdess", "01-01-01-01-01-01-01_audio.wav"),  # sound of a video
    ("ravdess", "03-01-01-01-02-01-01_GE0uHjJ - Copy.wav"),
    ("ravdess", "03-01-02-01-01-01-01_calm.wav"),
    ("ravdess", "03-01-09-01-01-01-01.wav"),
    ("ravdess", "03-01-02-01-01-01-25.wav"),
    ("crema-d", "1002_DFA_ANG_XX.mp3"),
    ("crema-d", "1093_ARK_HAP_HI.wav"),
    ("crema-d", "1094_ARW_HAPPY_MID.wav"),
    ("savee", "DC/f11 (2).wav"),
    ("savee", "unknown/a01.wav"),
    ("emodb", "__MACOSX/._03a01Fa.wav"),
    ("emodb", "03A01FA.wav"),
    ("shemo", "m03s08.wav"),
    ("shemo", "F88A01.wav"),
    ("emovo", "documents/emovo.wav"),
    ("tess", "OAF_neutral.wav"),
]


@pytest.mark.parametrize(("corpus", "path", "stem", "speaker", "emotion", "sentence", "take", "intensity"), NAMES)
def test_a_name_says_the_same_wherever_the_file_lies(corpus, path, stem, speaker, emotion, sentence, take, intensity):
    assert corpora.get(corpus).parse(path) == corpora.Parsed(stem, speaker, emotion, sentence, take, intensity)


@pytest.mark.parametrize(("corpus", "path"), NOT_THEIRS)
def test_look_alikes_are_not_taken_for_the_corpus(corpus, path):
    assert corpora.get(corpus).parse(path) is None


@pytest.mark.parametrize("name", corpora.NAMES)
def test_the_passport_agrees_with_what_was_published(name):
    passport = corpora.get(name)
    n_utterances, n_speakers, n_women = PUBLISHED[name]
    assert passport.n_utterances == n_utterances == sum(passport.by_emotion.values())
    assert len(passport.speakers) == n_speakers
    assert sum(speaker.gender == "female" for speaker in passport.speakers.values()) == n_women
    assert {speaker.gender for speaker in passport.speakers.values()} <= set(labels.GENDERS)
    assert sum(speaker.n_utterances for speaker in passport.speakers.values()) == n_utterances
    assert tuple(passport.by_emotion) == passport.emotions
    assert passport.licence
    assert passport.citation
    assert passport.how_to_get
    assert all(listeners["source"] for listeners in passport.listeners)


def test_the_votes_on_each_utterance_of_crema_d_add_up_to_what_is_known_of_all():
    passport = corpora.get("crema-d")
    votes = passport.votes()
    acted = votes.index.map(lambda stem: passport.parse(f"{stem}.wav").emotion)
    published = pd.DataFrame(passport.listener_scores()["votes"]).T
    pd.testing.assert_frame_equal(votes.groupby(acted).sum(), published, check_like=True, check_names=False)
    is_ahead = votes.eq(votes.max(axis=1), axis=0)
    most = votes.idxmax(axis=1).where(is_ahead.sum(axis=1) == 1, "")
    assert most.to_dict() == passport.relabel("perceived")  # which their makers counted, in another table
    with pytest.raises(ValueError, match="emodb: what each listener heard is not published"):
        corpora.get("emodb").votes()


def test_what_crema_ds_listeners_heard_is_what_its_table_of_votes_says():
    heard = corpora.get("crema-d").listener_scores()
    counts = pd.DataFrame(heard["votes"]).T.fillna(0)
    assert counts.to_numpy().sum() == 68_568
    right = np.diag(counts.loc[sorted(counts.index), sorted(counts.columns)]).sum()
    assert right / 68_568 == pytest.approx(corpora.get("crema-d").listeners[0]["accuracy"], abs=5e-4)
    published = {
        "neutral": 0.762,
        "anger": 0.532,
        "fear": 0.321,
        "happiness": 0.290,
        "disgust": 0.286,
        "sadness": 0.250,
    }
    assert heard["recall"] == pytest.approx(published, abs=1e-3)


@pytest.mark.corpus
def test_what_emodbs_listeners_recognised_is_what_its_own_table_says():
    text = (real("emodb") / "erkennung.txt").read_text(encoding="latin-1")
    rows = re.findall(r"(\w+)\.wav\s+(\d+),(\d\d)", text)
    rates = {stem: float(f"{whole}.{rest}") / 100 for stem, whole, rest in rows}
    assert len(rates) == 816
    passport = corpora.get("emodb")
    published = pd.Series({stem: rates[stem] for stem in passport.published().index})
    by_emotion = published.groupby(lambda stem: passport.parse(f"{stem}.wav").emotion)
    assert published.mean() == pytest.approx(passport.listeners[0]["accuracy"], abs=6e-4)
    assert passport.listener_scores()["recall"] == pytest.approx(by_emotion.mean().to_dict(), abs=6e-4)
    assert by_emotion.mean().mean() == pytest.approx(passport.listeners[0]["uar"], abs=6e-4)


@pytest.mark.parametrize("name", corpora.NAMES)
def test_the_manifest_holds_exactly_the_published_utterances(name):
    passport = corpora.get(name)
    parsed = [passport.parse(path) for path in passport.manifest()["path"]]
    assert None not in parsed
    assert len({utterance.stem for utterance in parsed}) == passport.n_utterances
    for emotion, n in passport.by_emotion.items():
        assert sum(utterance.emotion == emotion for utterance in parsed) == n
    for speaker, about in passport.speakers.items():
        assert sum(utterance.speaker == speaker for utterance in parsed) == about.n_utterances
    assert set(passport.defects) <= {utterance.stem for utterance in parsed}


def test_hand_counts_of_speakers_hold():
    emodb = corpora.get("emodb").speakers
    assert [speaker.n_utterances for speaker in emodb.values()] == [49, 58, 43, 38, 55, 35, 61, 69, 56, 71]
    assert [speaker.age for speaker in emodb.values()] == [31, 34, 21, 32, 26, 30, 32, 35, 25, 31]
    crema = [speaker.n_utterances for speaker in corpora.get("crema-d").speakers.values()]
    assert [crema.count(n) for n in (82, 81, 76)] == [86, 2, 3]
    ages = [speaker.age for speaker in corpora.get("crema-d").speakers.values()]
    assert (min(ages), max(ages)) == (20, 74)
    assert corpora.get("ravdess").speakers["01"].gender == "male"
    women = [speaker for name, speaker in corpora.get("shemo").speakers.items() if name[0] == "F"]
    assert sum(speaker.n_utterances for speaker in women) == 1263


def test_the_manifest_has_a_checksum_for_every_file_but_shemo():
    for name in corpora.NAMES:
        manifest = corpora.get(name).manifest()
        if name == "shemo":
            assert list(manifest) == ["path"]
        else:
            assert manifest["sha256"].str.fullmatch("[0-9a-f]{64}").all()
            assert (manifest["bytes"] > 1000).all()


@pytest.mark.parametrize("spelling", ["CREMA-D", "crema_d", "cremad", "Crema"])
def test_names_are_understood_as_people_write_them(spelling):
    assert corpora.get(spelling).id == "crema-d"


def test_an_unknown_corpus_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="corpus 'iemocap' is unknown; use one of emovo, emodb, tess"):
        corpora.get("iemocap")


def test_folders_are_found_under_any_spelling(tmp_path):
    (tmp_path / "Crema_D").mkdir()
    (tmp_path / "emo-db").mkdir()
    assert corpora.find_all(tmp_path) == {"emodb": tmp_path / "emo-db", "crema-d": tmp_path / "Crema_D"}
    assert corpora.find_all(tmp_path / "nowhere") == {}


def test_the_folders_of_kaggle_are_found(tmp_path):
    folders = {
        "emovo": "emovo-italian-ser-dataset",
        "emodb": "berlin-database-of-emotional-speech-emodb",
        "tess": "toronto-emotional-speech-set-tess",
        "savee": "surrey-audiovisual-expressed-emotion-savee",
        "ravdess": "ravdess-emotional-speech-audio",
        "crema-d": "cremad",
        "shemo": "shemo-persian-speech-emotion-detection-database",
    }
    for folder in folders.values():
        (tmp_path / folder).mkdir()
    assert corpora.find_all(tmp_path) == {name: tmp_path / folder for name, folder in folders.items()}


def test_two_folders_of_one_corpus_are_an_error(tmp_path):
    (tmp_path / "CREMA-D").mkdir()
    (tmp_path / "cremad").mkdir()
    with pytest.raises(ValueError, match=r"crema-d: 2 folders .*'CREMA-D', 'cremad'.*keep one"):
        corpora.find_folder(tmp_path, "crema")


@pytest.mark.corpus
def test_crema_d_speakers_agree_with_its_own_table():
    import pandas as pd

    table = pd.read_csv(real("crema-d") / "VideoDemographics.csv", dtype={"ActorID": str})
    published = {row.ActorID: (row.Sex.lower(), row.Age) for row in table.itertuples()}
    ours = {name: (speaker.gender, speaker.age) for name, speaker in corpora.get("crema-d").speakers.items()}
    assert ours == published
