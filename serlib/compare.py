"""Tests between recipes, scores of subgroups, and calibration of probabilities.

Every function takes predictions tables, as `metrics` describes them. Speakers, not utterances, are the unit: what is
asked is always how things would be with further speakers.
"""

import itertools
from collections import Counter

import numpy as np
import pandas as pd
import scipy.optimize
import scipy.special
import scipy.stats

from . import labels, metrics
from .settings import SEED

AGE_LIMITS = (0, 30, 45, 60, np.inf)  # years; each group begins at its lower limit
AGE_GROUPS = ("under 30", "30 to 44", "45 to 59", "60 and over")
GROUPINGS = {
    "gender": lambda genders: pd.Categorical(genders.where(genders.isin(labels.GENDERS)), labels.GENDERS),
    "age": lambda ages: pd.cut(ages.astype(float), AGE_LIMITS, right=False, labels=AGE_GROUPS),
}
LEAST_PROBABILITY = 5e-5  # tables carry four decimals: what they call 0 is anything below this
TEMPERATURES = (0.05, 20.0)  # where `temperature` looks


def bootstrap(predictions, *, level=0.95, n_draws=2000, seed=SEED):
    """Return a percentile-bootstrap interval for the UAR: speakers are drawn with replacement.

    With few speakers it is narrower than it says (``benchmarks/intervals.py`` counts how much); `metrics.uar_interval`
    is the one to report.

    Parameters
    ----------
    predictions : DataFrame
    level : float
    n_draws : int
    seed : int

    Returns
    -------
    tuple of float or None
        (low, high), within [0, 1]; None for fewer than `metrics.MIN_SPEAKERS_FOR_INTERVAL` speakers.

    References
    ----------
    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, Chapman & Hall 1993, chapter 13.

    Examples
    --------
    >>> from serlib import compare, evaluate, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> low, high = compare.bootstrap(result.predictions, n_draws=200)
    >>> 0 < low < high < 1
    True
    """
    n_right, n = metrics.speaker_counts(predictions)
    if len(n) < metrics.MIN_SPEAKERS_FOR_INTERVAL:
        return None
    rng = np.random.default_rng(seed)
    low, high = percentiles(n_right.to_numpy(), n.to_numpy(), level=level, n_draws=n_draws, rng=rng)
    return float(low), float(high)


def percentiles(n_right, n, *, level=0.95, n_draws=2000, rng):
    """Return both ends of a percentile-bootstrap interval for the UAR, from what `metrics.speaker_counts` returns."""

    def drawn(speakers, axis):
        return metrics.mean_recall(n_right[speakers].sum(axis=axis - 1), n[speakers].sum(axis=axis - 1))

    how = {"n_resamples": n_draws, "confidence_level": level, "method": "percentile", "vectorized": True}
    done = scipy.stats.bootstrap((np.arange(len(n)),), drawn, batch=500, random_state=rng, **how)
    return np.array(done.confidence_interval)


def by_speaker(predictions):
    """Score each speaker.

    Parameters
    ----------
    predictions : DataFrame

    Returns
    -------
    DataFrame
        A row per speaker, sorted: ``n`` utterances, ``accuracy``, ``uar`` (over the emotions that the speaker has).

    Examples
    --------
    >>> from serlib import compare, evaluate, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> compare.by_speaker(result.predictions)["n"].head(3).to_dict()
    {'emodb/03': 37, 'emodb/11': 40, 'emodb/12': 29}
    """
    n_right, n = metrics.speaker_counts(predictions)
    accuracy = n_right.sum(axis=1) / n.sum(axis=1)
    return pd.DataFrame(
        {"n": n.sum(axis=1), "accuracy": accuracy, "uar": metrics.mean_recall(n_right.to_numpy(), n.to_numpy())}
    )


def by_group(predictions, table, *, by="gender"):
    """Score groups of speakers.

    Parameters
    ----------
    predictions : DataFrame
    table : DataFrame
        An index table that holds the speakers; of whom it does not know the gender or age is in no group.
    by : str
        ``gender``, or ``age`` (groups as in `AGE_GROUPS`).

    Returns
    -------
    DataFrame
        A row per group: ``n_speakers``, ``n`` utterances, ``accuracy``, ``uar``, and ``low`` and ``high`` of
        `metrics.uar_interval`, missing where speakers are too few.

    Raises
    ------
    ValueError
        If ``by`` is something else, or nothing is known of it.

    Examples
    --------
    >>> from serlib import compare, evaluate, index, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> compare.by_group(result.predictions, index.load("emodb"))["n_speakers"].to_dict()
    {'female': 3, 'male': 4}
    """
    if by not in GROUPINGS:
        raise ValueError(f"groups by {by!r} are unknown; expected one of {list(GROUPINGS)}. Choose one of them")
    known = table.drop_duplicates("speaker").set_index("speaker").reindex(columns=[by])[by]
    groups = predictions["speaker"].map(pd.Series(GROUPINGS[by](known), index=known.index))
    if groups.isna().all():
        raise ValueError(
            f"{metrics.corpus_name(predictions)}: the index table tells the {by} of none of the "
            f"{predictions['speaker'].nunique()} speakers; expected it of one at least. "
            "Give the index table of this corpus, or group by something else"
        )
    rows = {}
    for group, members in predictions.groupby(groups, observed=True):
        low, high = metrics.uar_interval(members) or (np.nan, np.nan)
        rows[group] = {
            "n_speakers": members["speaker"].nunique(),
            "n": len(members),
            "accuracy": metrics.accuracy(members),
            "uar": metrics.uar(members),
            "low": low,
            "high": high,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def paired_test(a, b, *, n_permutations=10_000, seed=SEED):
    """Ask whether two recipes, or protocols, differ by more than chance: a paired permutation test over speakers.

    If there were no difference, each speaker's predictions could as well have come from the other side. So they
    change sides, speaker by speaker, and the difference of the pooled UAR is looked at again: in every possible way if
    ``n_permutations`` suffices for that, else in so many random ways.

    Parameters
    ----------
    a, b : DataFrame
        Predictions of the same utterances.
    n_permutations : int
    seed : int
        Draws the random ways.

    Returns
    -------
    dict
        ``difference`` (UAR of b - UAR of a), ``p`` (two-sided), ``n_speakers``, ``smallest_p`` (what so many speakers
        could show at best), ``is_exact``.

    Raises
    ------
    ValueError
        If the utterances, their speakers or emotions are not the same.

    References
    ----------
    B. Phipson and G. K. Smyth, Permutation P-values should never be zero, Statistical Applications in Genetics and
    Molecular Biology 9(1), 2010.

    Examples
    --------
    >>> from serlib import compare, evaluate, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> perfect = result.predictions.assign(y_pred=result.predictions["y_true"])
    >>> test = compare.paired_test(result.predictions, perfect)
    >>> test["n_speakers"], test["p"] == test["smallest_p"]
    (7, True)
    """
    _refuse_unpaired(a, b)
    (right_a, n), (right_b, _) = metrics.speaker_counts(a), metrics.speaker_counts(b)
    shares = ((right_b - right_a) / n.sum()).mean(axis=1).to_numpy()  # each speaker's in the difference
    n_speakers, rng = len(shares), np.random.default_rng(seed)
    test = scipy.stats.permutation_test(
        (shares, np.zeros(n_speakers)),
        lambda ours, theirs, axis: (ours - theirs).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=n_permutations,
        batch=1000,
        random_state=rng,
    )
    return {
        "difference": float(shares.sum()),
        "p": float(test.pvalue),
        "n_speakers": n_speakers,
        "smallest_p": max(2 / 2**n_speakers, 2 / (1 + n_permutations)),
        "is_exact": 2**n_speakers <= n_permutations,
    }


def _refuse_unpaired(a, b):
    """Raise unless two predictions tables are of the same utterances, speakers and true emotions."""
    counts = [Counter(t[["utterance", "speaker", "y_true"]].itertuples(index=False, name=None)) for t in (a, b)]
    if odd := sorted({key[0] for key in (counts[0] - counts[1]) + (counts[1] - counts[0])}):
        names = " and ".join(f"{t['recipe'].iloc[0]} ({t['protocol'].iloc[0]})" for t in (a, b))
        raise ValueError(
            f"{names} do not score the same utterances: {odd[:3]} ({len(odd)} in all) are on one side only, or of "
            "another speaker or emotion there; expected the same on both. Compare results that test the whole of one "
            "corpus, as 'speakers' and 'loso' do"
        )


def all_pairs(results, *, n_permutations=10_000, seed=SEED):
    """Compare every pair of results, and correct for their number.

    Parameters
    ----------
    results : dict of str to DataFrame
        Predictions of the same utterances, by name.
    n_permutations, seed : int
        As `paired_test` takes them.

    Returns
    -------
    DataFrame
        A row per pair: ``a``, ``b``, what `paired_test` returns, ``p_holm`` (corrected by `holm`), and ``can_show``:
        whether so few speakers could have shown any difference in so many comparisons, at 0.05.

    Raises
    ------
    ValueError
        If there are fewer than two results, or they are not of the same utterances.

    Examples
    --------
    >>> from serlib import compare, evaluate, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> perfect = result.predictions.assign(y_pred=result.predictions["y_true"])
    >>> compare.all_pairs({"logistic": result.predictions, "perfect": perfect})[["a", "b", "can_show"]]
              a        b  can_show
    0  logistic  perfect      True
    """
    if len(results) < 2:
        found = f"results holds {list(results)}"
        raise ValueError(f"{found}; expected two predictions tables or more. Add what to compare")
    rows = [
        {"a": a, "b": b, **paired_test(results[a], results[b], n_permutations=n_permutations, seed=seed)}
        for a, b in itertools.combinations(results, 2)
    ]
    table = pd.DataFrame(rows)
    return table.assign(p_holm=holm(table["p"]), can_show=table["smallest_p"] * len(table) < 0.05)


def holm(p):
    """Correct p values for their number, so that one or more false findings are as rare as each p says.

    Parameters
    ----------
    p : array-like, shape (n_tests,)

    Returns
    -------
    ndarray of float, shape (n_tests,)
        In the order given.

    References
    ----------
    S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p)
    order = p.argsort()
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return corrected


def reliability(predictions, *, n_bins=10):
    """Compare how sure a model is with how often it is right.

    Parameters
    ----------
    predictions : DataFrame
    n_bins : int
        Equal parts of [0, 1]; one that holds no utterance is left out.

    Returns
    -------
    DataFrame
        A row per bin: ``low`` (excluded) and ``high`` (included) of the highest probability, ``n`` utterances, their
        mean ``confidence`` (the highest probability) and their ``accuracy``.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On calibration of modern neural networks, ICML 2017.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import compare
    >>> said = {"y_true": ["anger", "fear"], "y_pred": "anger", "p_anger": [0.95, 0.75], "p_fear": [0.05, 0.25]}
    >>> compare.reliability(pd.DataFrame(said))
       low  high  n  confidence  accuracy
    0  0.7   0.8  1        0.75       0.0
    1  0.9   1.0  1        0.95       1.0
    """
    top = _probabilities(predictions).max(axis=1)
    limits = np.linspace(0, 1, n_bins + 1)
    bins = np.digitize(top, limits[1:-1], right=True)
    is_right = (predictions["y_true"] == predictions["y_pred"]).to_numpy()
    table = pd.DataFrame({"confidence": top, "accuracy": is_right}).groupby(bins).mean()
    table.insert(0, "n", np.bincount(bins)[table.index])
    table.insert(0, "high", limits[table.index + 1])
    table.insert(0, "low", limits[table.index])
    return table.reset_index(drop=True)


def calibration_error(predictions, *, n_bins=10):
    """Return the expected calibration error: the mean distance between confidence and accuracy, by utterances.

    Parameters
    ----------
    predictions : DataFrame
    n_bins : int
        As `reliability` takes it.

    Returns
    -------
    float
        0 where every probability means what it says; at most 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import compare
    >>> said = {"y_true": ["anger", "fear"], "y_pred": "anger", "p_anger": [0.75, 0.75], "p_fear": [0.25, 0.25]}
    >>> compare.calibration_error(pd.DataFrame(said))
    0.25
    """
    table = reliability(predictions, n_bins=n_bins)
    return float(np.average((table["confidence"] - table["accuracy"]).abs(), weights=table["n"]))


def temperature(predictions):
    """Return the temperature at which a model's probabilities fit best what was true, by their log-likelihood.

    Parameters
    ----------
    predictions : DataFrame
        Of validation utterances: neither those the model was fitted on, nor those that its probabilities are then
        judged by.

    Returns
    -------
    float
        Within `TEMPERATURES`. Above 1, the model is surer than it should be; below 1, less sure.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On calibration of modern neural networks, ICML 2017.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import compare
    >>> said = {"y_true": ["anger", "anger", "fear"], "p_anger": [0.99] * 3, "p_fear": [0.01] * 3}
    >>> compare.temperature(pd.DataFrame(said)) > 1
    True
    """
    emotions, log_p = metrics.emotions_of(predictions), _log_probabilities(predictions)
    true = [emotions.index(emotion) for emotion in predictions["y_true"]]

    def loss(log_temperature):
        scaled = scipy.special.log_softmax(log_p / np.exp(log_temperature), axis=1)
        return -scaled[np.arange(len(true)), true].mean()

    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def with_temperature(predictions, temperature):
    """Return predictions whose probabilities are p ** (1 / temperature), made to sum to 1; ``y_pred`` stays.

    Parameters
    ----------
    predictions : DataFrame
    temperature : float, or dict or Series of float by fold

    Returns
    -------
    DataFrame

    Raises
    ------
    ValueError
        If a fold has no temperature, or not a positive one.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import compare
    >>> sure = pd.DataFrame({"fold": [0], "p_anger": [0.9], "p_fear": [0.1]})
    >>> compare.with_temperature(sure, 2)[["p_anger", "p_fear"]].round(2)
       p_anger  p_fear
    0     0.75    0.25
    """
    folds = predictions["fold"]
    by_row = folds.map(temperature) if hasattr(temperature, "items") else folds.map(lambda _: temperature)
    if odd := sorted(set(folds[~(by_row > 0)])):
        raise ValueError(
            f"the temperature of folds {odd[:3]} ({len(odd)} in all) is missing or not above 0; expected a positive "
            "number for each fold. Fit them with 'compare.temperature' on each fold's validation rows"
        )
    scaled = scipy.special.softmax(_log_probabilities(predictions) / by_row.to_numpy()[:, None], axis=1)
    columns = [f"p_{emotion}" for emotion in metrics.emotions_of(predictions)]
    return predictions.assign(**dict(zip(columns, scaled.T, strict=True)))


def _probabilities(predictions):
    """Return the probabilities as an array, shape (n_utterances, n_emotions)."""
    return predictions[[f"p_{emotion}" for emotion in metrics.emotions_of(predictions)]].to_numpy()


def _log_probabilities(predictions):
    return np.log(np.maximum(_probabilities(predictions), LEAST_PROBABILITY))
