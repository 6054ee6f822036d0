"""The exercises' checks: each passes right answers, and says what differs in wrong and in empty ones."""

import re
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.metrics import balanced_accuracy_score, precision_score, recall_score
from sklearn.preprocessing import StandardScaler

from serlib import exercises, labels


def shared(tables):
    return set.intersection(*(set(table["emotion"]) for table in tables))


def mfcc(signal, sr=16000, norm="ortho"):
    mel = librosa.feature.melspectrogram(y=signal, sr=sr, n_fft=512, hop_length=160, n_mels=40)
    return librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=13, norm=norm)


def leaks(train, test):
    return tuple(set(train[column]) & set(test[column]) for column in ("speaker", "content"))


def loss(outputs, right):
    return (scipy.special.logsumexp(outputs, axis=1) - outputs[np.arange(len(right)), right]).mean()


def jackknife(without):
    pseudo = len(without) * without.mean() - (len(without) - 1) * without  # Tukey's pseudo-values
    return scipy.stats.sem(pseudo)


def risk_coverage(p, is_right):
    n = np.arange(1, len(p) + 1)
    return n / len(p), np.cumsum(~is_right[np.argsort(-p)]) / n


def standardised(X, speakers):
    made = np.empty_like(X)
    for speaker in set(speakers):
        made[speakers == speaker] = StandardScaler().fit_transform(X[speakers == speaker])
    return made


def spreads(rows):
    levels = rows.groupby("corpus")["level_db"]
    return levels.std().mean(), levels.mean().std()


def sign_flips(gains):
    signs = np.array(np.meshgrid(*[[-1, 1]] * len(gains))).reshape(len(gains), -1)
    return np.mean(np.abs(gains @ signs) >= abs(gains.sum()) - 1e-12)


PATTERN = r"(?P<speaker>[a-z]+)_(?P<emotion>[a-z]+)_(?P<sentence>\d+)(_(?P<take>[a-z]))?"

RIGHT = {
    "01-shared": shared,
    "02-mfcc": mfcc,
    "03-leaks": leaks,
    "05-cross-entropy": loss,
    "06-uar": balanced_accuracy_score,
    "07-jackknife": jackknife,
    "09-risk-coverage": risk_coverage,
    "04-standardise": standardised,
    "08-spreads": spreads,
    "10-pattern": PATTERN,
    "11-sign-flips": sign_flips,
}


def in_place(X, speakers):
    X[:] = standardised(X, speakers)
    return X


WRONG = [  # an answer, and what is said of it
    ("01-shared", lambda tables: set(labels.EMOTIONS), "too many"),
    ("01-shared", lambda tables: shared(tables[:2]), "of three corpora: anger, fear found, 1 too many, 0 missing"),
    ("02-mfcc", lambda signal: mfcc(signal).T, r"the shape is \(51, 13\), expected \(13, 51\)"),
    ("02-mfcc", lambda signal: mfcc(2 * signal), "51 of 663 numbers differ"),
    ("02-mfcc", lambda signal: mfcc(signal) * np.log(10) / 10, "natural logarithms"),
    ("02-mfcc", lambda signal: mfcc(signal, norm=None), "not scaled"),
    ("02-mfcc", lambda signal: mfcc(signal, sr=22050), "another sampling rate"),
    ("02-mfcc", lambda signal: mfcc(signal).astype(str), "expected numbers"),
    ("03-leaks", lambda train, test: leaks(train, test)[0], "set found, expected two sets"),
    ("03-leaks", lambda train, test: leaks(train, test)[::-1], "speakers: 0 too many, 1 missing"),
    ("03-leaks", lambda train, test: (leaks(train, test)[0], set()), "contents: 0 too many, 1 missing"),
    ("05-cross-entropy", lambda z, right: -np.log(scipy.special.softmax(z, axis=1)).mean(), "not the right ones"),
    ("05-cross-entropy", lambda z, right: loss(z, right) + 1, "three utterances: .* is not right"),
    ("05-cross-entropy", lambda z, right: 3 * loss(z, right), "the sum"),
    ("05-cross-entropy", lambda z, right: -loss(z, right), "sign"),
    ("05-cross-entropy", lambda z, right: -np.log(scipy.special.softmax(z))[range(3), right].mean(), "all rows"),
    ("05-cross-entropy", lambda z, right: loss(np.clip(z, -500, 500), right), "overflows"),
    (
        "05-cross-entropy",
        lambda z, right: -np.log(np.exp(z) / np.exp(z).sum(axis=1, keepdims=True))[range(3), right].mean(),
        "overflow",
    ),
    ("06-uar", lambda acted, said: np.mean(acted == said), "this is the accuracy"),
    ("06-uar", lambda acted, said: recall_score(acted, said, pos_label="fear"), "one recognised: 0.5 is not right"),
    ("06-uar", lambda acted, said: precision_score(acted, said, average="macro"), "not recall"),
    ("07-jackknife", scipy.stats.sem, "independent numbers"),
    ("07-jackknife", lambda without: jackknife(without) ** 2, "not its root"),
    ("07-jackknife", np.std, "standard deviation"),
    ("07-jackknife", lambda without: jackknife(without) + 0.01, "four speakers: .* is not right"),
    ("09-risk-coverage", lambda p, is_right: risk_coverage(-p, is_right), "risk: 3 of 4 numbers differ"),
    ("09-risk-coverage", lambda p, is_right: risk_coverage(p, is_right)[::-1], "coverage: "),
    ("09-risk-coverage", lambda p, is_right: p, "expected two arrays"),
    ("04-standardise", lambda X, speakers: StandardScaler().fit_transform(X), "numbers differ"),
    ("04-standardise", in_place, "return new ones"),
    ("08-spreads", lambda rows: spreads(rows)[::-1], "wrong order"),
    ("08-spreads", lambda rows: (rows["level_db"].std(), 0), "numbers differ"),
    ("10-pattern", r"(?P<speaker>[a-z]+)_(?P<emotion>[a-z]+)_(?P<sentence>\d+)", "no group 'take'"),
    ("10-pattern", PATTERN.replace("speaker", "person"), "no group 'speaker'"),
    ("10-pattern", PATTERN.replace(r"\d+", r"\d"), "not read"),
    ("10-pattern", PATTERN + ".*", "should not be"),
    ("10-pattern", "(", "raises PatternError|raises error"),
    ("11-sign-flips", lambda gains: sign_flips(gains) / 2, "who all gain: .* is not right"),
    ("11-sign-flips", lambda gains: 1 / 16, "of whom one loses"),
]


def test_every_check_has_a_right_and_a_wrong_answer():
    assert set(exercises.CHECKS) == set(RIGHT) == {name for name, _, _ in WRONG}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_answer_passes(name):
    verdict = exercises.check(name, RIGHT[name])
    assert verdict
    assert repr(verdict) == f"{name}: right."


@pytest.mark.filterwarnings("ignore:(overflow|invalid value|divide by zero):RuntimeWarning")
@pytest.mark.parametrize(("name", "answer", "said"), WRONG)
def test_of_a_wrong_answer_it_is_said_what_differs(name, answer, said):
    verdict = exercises.check(name, answer)
    assert not verdict
    assert re.fullmatch(f"{name}: not yet. .+", repr(verdict))
    assert re.search(said, verdict.differs)


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("empty", [None, ...])
def test_an_empty_answer_is_not_yet_one(name, empty):
    answer = "" if name == "10-pattern" else lambda *_: empty
    verdict = exercises.check(name, answer)
    assert not verdict
    assert re.search("yet", verdict.differs)


def test_what_an_answer_raises_is_shown():
    verdict = exercises.check("06-uar", lambda acted: 0)
    assert verdict.differs.startswith("it raises TypeError: ")


def test_an_exercise_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"no exercise '06-war'; there are 01-shared, .*06-uar"):
        exercises.check("06-war", max)


def test_a_claim_is_printed_with_its_number_and_its_bounds(capsys):
    exercises.claim("it is above guessing", 0.4712, above=1 / 6, below=1)
    assert capsys.readouterr().out == "it is above guessing: 0.471 (above 0.167, below 1)\n"


@pytest.mark.parametrize("bounds", [{"above": 0.5}, {"below": 0.4}, {"above": 0.4712}])
def test_a_claim_that_no_longer_holds_stops_the_notebook(bounds):
    with pytest.raises(AssertionError, match=r"no longer true: it is above guessing: 0\.471"):
        exercises.claim("it is above guessing", 0.4712, **bounds)


def test_the_lines_that_grade_in_the_teachers_page_run():
    page = Path(__file__).parent.parent / "docs" / "guide" / "teaching.md"
    (lines,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    exec(lines, {})
    with pytest.raises(AssertionError):
        exec(lines.replace("== emotion).mean()", "== emotion).sum()"), {})
