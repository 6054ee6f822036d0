"""What the notebooks ask of their readers, and what they claim themselves: answers and sentences that are checked.

A check says what differs, never the answer. Solutions and model answers are in the teacher's edition, which
``make teacher`` writes.
"""

import re
from dataclasses import dataclass

import msgspec
import numpy as np
import pandas as pd
import scipy.special
import scipy.stats
import sklearn.metrics

from . import features, labels


@dataclass(frozen=True)
class Verdict:
    """Whether an exercise is solved; as text, one line that says what differs. It counts as true if it is solved."""

    name: str
    differs: str  # empty if nothing does

    def __bool__(self):
        return not self.differs

    def __repr__(self):
        return f"{self.name}: {f'not yet. {self.differs}' if self.differs else 'right.'}"


def check(name, answer):
    """Check the answer to an exercise.

    Parameters
    ----------
    name : str
        Of the exercise, such as ``"02-mfcc"``; see `CHECKS`.
    answer : callable or str
        What the exercise asks for: in most, a function.

    Returns
    -------
    Verdict

    Raises
    ------
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> from serlib import exercises
    >>> exercises.check("06-uar", lambda acted, said: 0.5)
    06-uar: not yet. with 6 times anger, all recognised, and 2 times fear, one recognised: 0.5 is not right
    """
    if name not in CHECKS:
        raise ValueError(f"there is no exercise {name!r}; there are {', '.join(CHECKS)}")
    try:
        return Verdict(name, next(filter(None, CHECKS[name](_asked(answer))), ""))
    except _NothingYet:
        return Verdict(name, "it returns nothing yet")
    except Exception as error:  # whatever a reader's code raises is shown as what it is
        return Verdict(name, f"it raises {type(error).__name__}: {error}")


def claim(sentence, value, *, above=None, below=None):
    """Hold a number behind a sentence of a notebook to its bounds, and print both.

    Parameters
    ----------
    sentence : str
    value : float
    above, below : float, optional
        The sentence is true if the value lies between them.

    Raises
    ------
    AssertionError
        If it does not.

    Examples
    --------
    >>> from serlib import exercises
    >>> exercises.claim("unseen speakers score above guessing", 0.47, above=0.17)
    unseen speakers score above guessing: 0.47 (above 0.17)
    """
    bounds = [f"{word} {bound:.3g}" for word, bound in (("above", above), ("below", below)) if bound is not None]
    line = f"{sentence}: {value:.3g} ({', '.join(bounds)})"
    is_true = (above is None or value > above) and (below is None or value < below)
    if not is_true:
        raise AssertionError(f"no longer true: {line}")
    print(line)


class _NothingYet(Exception):
    """An answer is a function that has not been written."""


def _asked(answer):
    """Return an answer; where it is a function, one that raises `_NothingYet` instead of returning None or ``...``."""
    if not callable(answer):
        return answer

    def asked(*arguments):
        found = answer(*arguments)
        if found is None or found is ...:
            raise _NothingYet
        return found

    return asked


def _differs(found, expected, given, *, within=1e-6, known=None):
    """Return how an array differs from what is expected, or which of the `known` mistakes it is; "" if it is right."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return f"{given}: the shape is {found.shape}, expected {expected.shape}"
    if not np.issubdtype(found.dtype, np.number):
        return f"{given}: {found.dtype} found, expected numbers"
    is_off = ~np.isclose(found, expected, rtol=within, atol=within)
    if not is_off.any():
        return ""
    for mistake, wrong in (known or {}).items():
        if np.allclose(found, wrong, rtol=within, atol=within):
            return f"{given}: {mistake}"
    if not found.ndim:
        return f"{given}: {found:.4g} is not right"
    return (
        f"{given}: {is_off.sum()} of {is_off.size} numbers differ, first at {tuple(map(int, np.argwhere(is_off)[0]))}"
    )


# Each check yields how an answer differs, case by case: the first that is not empty counts.


def _shared_emotions(answer):
    def table(*emotions):
        return pd.DataFrame({"emotion": emotions})

    cases = {
        "of one with anger and fear, and one with anger and calm": [table("anger", "fear"), table("anger", "calm")],
        "of three corpora": [table("fear", "anger"), table("fear", "anger"), table("fear", "sadness")],
        "of two corpora that share none": [table("anger"), table("calm")],
    }
    for given, tables in cases.items():
        found, expected = set(answer(tables)), set.intersection(*(set(rows["emotion"]) for rows in tables))
        if found != expected:
            named = ", ".join(labels.ordered(found)) or "none"
            yield f"{given}: {named} found, {len(found - expected)} too many, {len(expected - found)} missing"


def _mfcc(answer):
    chosen = features.MfccMean(sr=16000, n_fft=512, win_length=512, hop_length=160, n_mels=40, n_mfcc=13)
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 8000).astype(np.float32)
    swelling = (noise * np.linspace(0.01, 1, len(noise))).astype(np.float32)
    for given, signal in (("half a second of noise", noise), ("noise that swells", swelling)):
        expected = features.mfcc(signal, chosen.sr, features=chosen)
        lengths = np.sqrt(chosen.n_mels * np.where(np.arange(chosen.n_mfcc) == 0, 4, 2))[:, None]  # of the cosines
        known = {
            "natural logarithms instead of decibels": expected * np.log(10) / 10,
            "the cosine transform is not scaled (norm)": expected * lengths,
            "the coefficients of another sampling rate": features.mfcc(
                signal, 22050, features=msgspec.structs.replace(chosen, sr=22050)
            ),
        }
        yield _differs(answer(signal), expected, given, within=1e-2, known=known)


def _leaks(answer):
    def table(*rows):
        return pd.DataFrame(rows, columns=["speaker", "content"])

    train = table(("anna", "1f"), ("ben", "2e"), ("clara", "3d"))
    cases = {
        "where a speaker is on both sides": (table(("anna", "4c"), ("david", "5b")), ({"anna"}, set())),
        "where a recording is on both sides, under two speakers' names": (table(("emma", "2e")), (set(), {"2e"})),
        "where nothing is on both sides": (table(("emma", "6a")), (set(), set())),
    }
    for given, (test, expected) in cases.items():
        found = answer(train, test)
        if not isinstance(found, tuple) or len(found) != 2:
            yield f"{given}: {type(found).__name__} found, expected two sets: speakers, contents"
        for what, has, wanted in zip(("speakers", "contents"), map(set, found), expected, strict=True):
            if has != wanted:
                yield f"{given}: {what}: {len(has - wanted)} too many, {len(wanted - has)} missing"


def _cross_entropy(answer):
    outputs = np.array([[2.0, 0.5, -1.0], [0.0, 0.0, 0.0], [-3.0, 4.0, 0.0]])
    right = np.array([0, 2, 1])
    for given, z in {"three utterances": outputs, "outputs as large as 1000 (exp overflows)": 1000 + outputs}.items():
        log_p = scipy.special.log_softmax(z, axis=1)
        losses = -log_p[range(3), right]
        known = {
            "this is the sum, not the mean": losses.sum(),
            "the sign is wrong": -losses.mean(),
            "this is the mean over all emotions, not the right ones": -log_p.mean(),
            "the softmax is taken over all rows at once": -(z - scipy.special.logsumexp(z))[range(3), right].mean(),
        }
        yield _differs(answer(z, right), losses.mean(), given, known=known)


def _uar(answer):
    acted = np.array(["anger"] * 6 + ["fear"] * 2)
    said = np.array(["anger"] * 7 + ["fear"])
    never = np.array(["anger"] * 8)
    given, expected = "with 6 times anger, all recognised, and 2 times fear, one recognised", 0.75
    known = {
        "this is the accuracy": np.mean(acted == said),
        "this is the mean precision, not recall": sklearn.metrics.precision_score(acted, said, average="macro"),
    }
    yield _differs(answer(acted, said), expected, given, known=known)
    yield _differs(answer(acted, never), 0.5, "with an emotion that is never said")


def _jackknife(answer):
    cases = {
        "scores without each of four speakers": np.array([0.50, 0.54, 0.47, 0.52]),
        "scores without each of seven speakers": np.linspace(0.4, 0.46, 7),
    }
    for given, u in cases.items():
        known = {
            "this is the variance, not its root": (len(u) - 1) * u.var(),
            "this is the standard deviation of the scores": u.std(),
            "this is the standard error of independent numbers; these share all speakers but two": scipy.stats.sem(u),
        }
        yield _differs(answer(u), np.sqrt((len(u) - 1) * u.var()), given, known=known)


def _risk_coverage(answer):
    p = np.array([0.9, 0.4, 0.7, 0.6])
    is_right = np.array([True, False, True, False])
    found = answer(p, is_right)
    if not isinstance(found, tuple) or len(found) != 2:
        yield f"{type(found).__name__} found, expected two arrays: coverage, risk"
    given = "four answers with probabilities .9 .4 .7 .6, the first and the third of them right"
    yield _differs(found[0], [0.25, 0.5, 0.75, 1.0], f"{given}: coverage")
    yield _differs(found[1], [0, 0, 1 / 3, 0.5], f"{given}: risk")


def _standardise(answer):
    X = np.array([[1.0, 5.0], [10.0, 5.0], [3.0, 5.0], [30.0, 4.0], [8.0, 5.0]])
    speakers = np.array(["anna", "ben", "anna", "ben", "anna"])
    kept = X.copy()
    found = answer(X, speakers)
    if not np.array_equal(X, kept):
        yield "the vectors that were given are changed; return new ones"
    given = "two speakers in turn, one of whom has the same number in a column throughout"
    yield _differs(found, features.standardise(kept, speakers), given)


def _spreads(answer):
    rows = pd.DataFrame({"corpus": ["a", "a", "b", "b", "b"], "level_db": [-20.0, -30.0, -50.0, -52.0, -54.0]})
    levels = rows.groupby("corpus")["level_db"]
    expected = [levels.std().mean(), levels.mean().std()]
    found = answer(rows)
    given = "two corpora of two and three recordings"
    if isinstance(found, tuple) and np.allclose(found, expected[::-1]):
        yield f"{given}: the two numbers are in the wrong order"
    yield _differs(found, expected, given)


def _pattern(answer):
    if not isinstance(answer, str) or not answer:
        yield "it is no text yet"
    names = {
        "anna_anger_03": ("anna", "anger", "03", None),
        "ben_joy_12_b": ("ben", "joy", "12", "b"),
        "Ben joyful 2": None,
        "anna_anger_03_old copy": None,
    }
    for name, expected in names.items():
        match = re.fullmatch(answer, name)
        if match is None or expected is None:
            if match is not expected:
                yield f"{name!r} is {'read, though it should not be' if match else 'not read'}"
            continue
        groups = match.groupdict()
        for group, value in zip(("speaker", "emotion", "sentence", "take"), expected, strict=True):
            if group not in groups:
                yield f"there is no group {group!r}"
            if groups[group] != value:
                yield f"{name!r}: {group} is {groups[group]!r}"


def _sign_flips(answer):
    cases = {
        "five speakers who all gain": np.array([0.1, 0.2, 0.05, 0.3, 0.15]),
        "five speakers of whom one loses": np.array([0.1, 0.2, -0.05, 0.3, 0.15]),
    }
    for given, gains in cases.items():
        sides = (gains, np.zeros(len(gains)))
        test = scipy.stats.permutation_test(
            sides, lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=np.inf
        )
        yield _differs(answer(gains), test.pvalue, given)


CHECKS = {
    "01-shared": _shared_emotions,
    "02-mfcc": _mfcc,
    "03-leaks": _leaks,
    "04-standardise": _standardise,
    "05-cross-entropy": _cross_entropy,
    "06-uar": _uar,
    "07-jackknife": _jackknife,
    "08-spreads": _spreads,
    "09-risk-coverage": _risk_coverage,
    "10-pattern": _pattern,
    "11-sign-flips": _sign_flips,
}
