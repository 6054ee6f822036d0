"""Predictions table -> numbers and intervals.

A predictions table has a row per scored utterance: ``utterance``, ``corpus``, ``recipe``, ``protocol``, ``seed``,
``fold``, ``speaker``, ``y_true``, ``y_pred`` and a probability ``p_<emotion>`` per output; ``attrs["synthetic"]`` is
whether it is about synthetic speech. Every metric, figure and widget reads this table. Predictions of all folds are
pooled before a metric is taken.
"""

import numpy as np
import pandas as pd
import scipy.stats
import sklearn.metrics

from . import labels

KEYS = ("utterance", "corpus", "recipe", "protocol", "seed", "fold", "speaker", "y_true", "y_pred")
MIN_SPEAKERS_FOR_INTERVAL = 6


def emotions_of(predictions):
    """Return the emotions a predictions table has probabilities for, in the vocabulary's order.

    Examples
    --------
    >>> from serlib import evaluate, metrics, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> metrics.emotions_of(result.predictions)
    ('anger', 'boredom', 'disgust', 'fear', 'happiness', 'neutral', 'sadness')
    """
    return labels.ordered(column[2:] for column in predictions if column.startswith("p_"))


def corpus_name(rows):
    """Return the corpora of a table's rows, sorted and joined by ``+``: ``emodb``, or ``emodb+ravdess``.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import metrics
    >>> metrics.corpus_name(pd.DataFrame({"corpus": ["ravdess", "emodb", "emodb"]}))
    'emodb+ravdess'
    """
    return "+".join(sorted(rows["corpus"].unique()))


def uar(predictions):
    """Return the unweighted average recall: the mean recall over the emotions present in ``y_true``.

    Parameters
    ----------
    predictions : DataFrame
        Any number of folds; they are pooled.

    Returns
    -------
    float

    Examples
    --------
    >>> uar(pd.DataFrame({"y_true": ["anger", "anger", "fear"], "y_pred": ["anger", "fear", "fear"]}))
    0.75
    """
    is_right = predictions["y_true"] == predictions["y_pred"]
    counts = is_right.groupby(predictions["y_true"]).agg(["sum", "size"])
    return float(mean_recall(counts["sum"].to_numpy(), counts["size"].to_numpy()))


def mean_recall(n_right, n):
    """Return the mean recall over the emotions that occur: the UAR, from counts.

    Parameters
    ----------
    n_right, n : ndarray, shape (..., n_emotions)
        Utterances of each emotion that were recognised, and all of them; an emotion that has none does not count.

    Returns
    -------
    ndarray of float, shape (...)

    Examples
    --------
    >>> float(mean_recall(np.array([1, 1, 0]), np.array([2, 1, 0])))
    0.75
    """
    return (n_right / np.maximum(n, 1)).sum(-1) / (n > 0).sum(-1)


def speaker_counts(predictions):
    """Count recognised and all utterances: two DataFrames (n_speakers, n_emotions), of emotions in ``y_true``.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import metrics
    >>> said = {"speaker": ["anna", "anna", "ben"], "y_true": ["anger", "fear", "fear"], "y_pred": "fear"}
    >>> n_right, n = metrics.speaker_counts(pd.DataFrame(said))
    >>> n_right.to_dict("index")
    {'anna': {'anger': 0, 'fear': 1}, 'ben': {'anger': 0, 'fear': 1}}
    """
    is_right = predictions["y_true"] == predictions["y_pred"]
    counts = is_right.groupby([predictions["speaker"], predictions["y_true"]]).agg(["sum", "size"])
    counts = counts.unstack(fill_value=0)
    return counts["sum"], counts["size"]


def accuracy(predictions):
    """Return the share of utterances whose emotion was recognised.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import metrics
    >>> metrics.accuracy(pd.DataFrame({"y_true": ["anger", "anger", "fear", "fear"], "y_pred": ["anger"] * 4}))
    0.5
    """
    return float((predictions["y_true"] == predictions["y_pred"]).mean())


def uar_interval(predictions, *, level=0.95):
    """Return an interval for the UAR on further speakers: speakers, not utterances, are the unit.

    Parameters
    ----------
    predictions : DataFrame
    level : float

    Returns
    -------
    tuple of float or None
        (low, high), within [0, 1]; None for fewer than `MIN_SPEAKERS_FOR_INTERVAL` speakers.

    Examples
    --------
    >>> from serlib import evaluate, metrics, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> low, high = metrics.uar_interval(result.predictions)
    >>> low < metrics.uar(result.predictions) < high
    True
    """
    n_right, n = speaker_counts(predictions)
    if len(n) < MIN_SPEAKERS_FOR_INTERVAL:
        return None
    low, high = jackknife(n_right.to_numpy(), n.to_numpy(), level=level)
    return float(low), float(high)


def jackknife(n_right, n, *, level=0.95):
    """Return the ends of a t interval for the UAR, from counts.

    The jackknife leaves out one speaker at a time, so that speakers without some emotion do no harm, and the spread
    of its pseudo-values is put into a t interval. ``benchmarks/intervals.py`` counts how often it holds the truth: as
    often as it says, but for a UAR above 0.9 and few speakers, where it lies too high too often.

    Parameters
    ----------
    n_right, n : ndarray, shape (..., n_speakers, n_emotions)
        Utterances of each speaker and emotion that were recognised, and all of them.
    level : float

    Returns
    -------
    low, high : ndarray of float, shape (...)
        Within [0, 1].

    References
    ----------
    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, Chapman & Hall 1993, chapter 11.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import metrics
    >>> n_right, n = np.array([[4, 3], [2, 2], [3, 1], [4, 4]]), np.full((4, 2), 4)
    >>> low, high = metrics.jackknife(n_right, n)
    >>> round(float(low), 1), round(float(high), 1)
    (0.3, 1.0)
    """
    n_speakers, all_right, all_n = n.shape[-2], n_right.sum(-2), n.sum(-2)
    whole = mean_recall(all_right, all_n)
    without = mean_recall(all_right[..., None, :] - n_right, all_n[..., None, :] - n)
    spread = (n_speakers - 1) * without.std(-1, ddof=1)  # that of the pseudo-values
    half = scipy.stats.t.ppf((1 + level) / 2, n_speakers - 1) * spread / np.sqrt(n_speakers)
    return np.clip(whole - half, 0, 1), np.clip(whole + half, 0, 1)


def per_emotion(predictions):
    """Return precision, recall, F1 and the number of utterances of each emotion.

    Parameters
    ----------
    predictions : DataFrame

    Returns
    -------
    DataFrame, shape (n_emotions, 4)
        A row per emotion of the model, absent ones too (their recall is missing: nothing could be recognised).

    Examples
    --------
    >>> from serlib import evaluate, metrics, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> metrics.per_emotion(result.predictions)["n_utterances"].head(3).to_dict()
    {'anger': 45, 'boredom': 43, 'disgust': 30}
    """
    emotions = list(emotions_of(predictions))
    precision, recall, f1, n_utterances = sklearn.metrics.precision_recall_fscore_support(
        predictions["y_true"], predictions["y_pred"], labels=emotions, zero_division=0.0
    )
    table = pd.DataFrame(
        {"precision": precision, "recall": recall, "f1": f1, "n_utterances": n_utterances},
        index=pd.Index(emotions, name="emotion"),
    )
    return table.assign(recall=table["recall"].where(table["n_utterances"] > 0))


def confusion(predictions):
    """Return the confusion matrix, as counts.

    Parameters
    ----------
    predictions : DataFrame

    Returns
    -------
    DataFrame of int, shape (n_emotions, n_emotions)
        A row per true, a column per predicted emotion, all emotions of the model, in the vocabulary's order.

    Examples
    --------
    >>> from serlib import evaluate, metrics, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> counts = metrics.confusion(result.predictions)
    >>> counts.shape, int(counts.loc["anger"].sum())
    ((7, 7), 45)
    """
    emotions = list(emotions_of(predictions))
    counts = sklearn.metrics.confusion_matrix(predictions["y_true"], predictions["y_pred"], labels=emotions)
    return pd.DataFrame(counts, index=pd.Index(emotions, name="y_true"), columns=pd.Index(emotions, name="y_pred"))


def summary(predictions):
    """Sum a predictions table up.

    Parameters
    ----------
    predictions : DataFrame
        Of one recipe, protocol and seed.

    Returns
    -------
    dict
        ``corpus``, ``protocol``, ``recipe``, ``seed``, ``n``, ``n_folds``, ``accuracy``, ``uar``, ``uar_ci95``
        (list of two, or None), ``per_emotion`` (recall, None where absent), ``chance`` (of the UAR).

    Examples
    --------
    >>> from serlib import evaluate, metrics, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> summary = metrics.summary(result.predictions)
    >>> summary["n"], summary["n_folds"], summary["chance"]
    (280, 6, 0.1429)
    """
    first, interval = predictions.iloc[0], uar_interval(predictions)
    recall = per_emotion(predictions)["recall"]
    return {
        "corpus": corpus_name(predictions),
        "protocol": str(first["protocol"]),
        "recipe": str(first["recipe"]),
        "seed": int(first["seed"]),
        "n": len(predictions),
        "n_folds": int(predictions["fold"].nunique()),
        "accuracy": round(accuracy(predictions), 4),
        "uar": round(uar(predictions), 4),
        "uar_ci95": interval and [round(float(limit), 4) for limit in interval],
        "per_emotion": {emotion: None if np.isnan(r) else round(float(r), 4) for emotion, r in recall.items()},
        "chance": round(1 / len(recall), 4),
    }


def majority_rate(predictions):
    """Return the accuracy of always naming the commonest emotion.

    Examples
    --------
    >>> import pandas as pd
    >>> from serlib import metrics
    >>> metrics.majority_rate(pd.DataFrame({"y_true": ["anger", "anger", "anger", "fear"]}))
    0.75
    """
    return float(predictions["y_true"].value_counts(normalize=True).max())


def table_of(scored, probabilities, emotions):
    """Return a predictions table: `scored` (what comes before ``y_pred``) and the probabilities of `emotions`.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from serlib import metrics
    >>> about = {"corpus": "mine", "recipe": "my-bayes", "protocol": "loso", "seed": 42, "fold": 0, "speaker": "anna"}
    >>> scored = pd.DataFrame([{"utterance": "a", **about, "y_true": "fear"}])
    >>> table = metrics.table_of(scored, np.array([[0.25, 0.75]]), ("anger", "fear"))
    >>> table[["y_true", "y_pred", "p_anger", "p_fear"]]
      y_true y_pred  p_anger  p_fear
    0   fear   fear     0.25    0.75
    """
    y_pred = np.array(emotions)[probabilities.argmax(axis=1)]
    table = scored.assign(y_pred=y_pred)[list(KEYS)].reset_index(drop=True)
    columns = [f"p_{emotion}" for emotion in emotions]
    return pd.concat([table, pd.DataFrame(probabilities.astype(np.float64), columns=columns)], axis=1)
