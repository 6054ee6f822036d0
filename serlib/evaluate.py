"""Predictions table -> metrics and intervals; `cross_validate` runs the folds.

A predictions table has a row per scored utterance: ``utterance``, ``corpus``, ``recipe``, ``protocol``, ``seed``,
``fold``, ``speaker``, ``y_true``, ``y_pred`` and a probability ``p_<emotion>`` per output; ``attrs["synthetic"]`` says
whether it is about synthetic speech. Every metric, figure and widget reads this table. Predictions of all folds are
pooled before a metric is taken.
"""

import contextlib
import dataclasses
import gzip
import hashlib
import io
import itertools
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import scipy.stats
import sklearn.metrics
from tqdm.auto import tqdm

from . import features, index, labels, model, settings
from . import split as splitting
from .settings import SEED, replacing_together

KEYS = ("utterance", "corpus", "recipe", "protocol", "seed", "fold", "speaker", "y_true", "y_pred")
MIN_SPEAKERS_FOR_INTERVAL = 6
SYNTHETIC_EPOCHS = 100  # enough for the lesson; the recipe's own for real speech


@dataclass(frozen=True)
class Fold:
    """One fold's model and what came of it.

    Attributes
    ----------
    network : keras.Model
    history : DataFrame
        As `model.fit` returns it, with ``fold``.
    predictions : DataFrame
        A predictions table of the fold's test rows.
    validated : DataFrame
        Likewise of the rows that the validation curve was drawn from.
    validation : str
        What rows these are.
    n_train : int
        The number of utterances that were fitted.
    """

    network: object
    history: pd.DataFrame
    predictions: pd.DataFrame
    validated: pd.DataFrame
    validation: str
    n_train: int


@dataclass(frozen=True)
class Result:
    """All folds together.

    Attributes
    ----------
    predictions : DataFrame
        A predictions table.
    validated : DataFrame
        Likewise of each fold's validation rows: what may be tuned (a temperature, a threshold) is tuned on these. Empty
        for a recipe that draws its curve from the test rows.
    history : DataFrame
        The learning curves, by fold.
    about : dict
        What was done: ``epochs``, ``validation`` (what those curves were drawn from), ``synthetic``, ``dropped`` ...
    """

    predictions: pd.DataFrame
    validated: pd.DataFrame
    history: pd.DataFrame
    about: dict


def epochs_for(table, recipe, epochs=None):
    """Return the number of epochs: as asked for, else few for synthetic speech, else the recipe's own.

    Parameters
    ----------
    table : DataFrame
        An index table.
    recipe : Recipe
    epochs : int, optional

    Raises
    ------
    ValueError
        If fewer than 1 is asked for.
    """
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs is {epochs}; expected 1 or more")
    return epochs or (SYNTHETIC_EPOCHS if table.attrs.get("synthetic") else recipe.training.epochs)


def fit_fold(split, X, fold=0, *, recipe, epochs=None, seed=SEED, watch=None, partial=None, progress=False):
    """Train on one fold's training rows and score its test rows.

    Parameters
    ----------
    split : Split
    X : ndarray of float32, shape (n_utterances, n_mfcc)
        In the order of ``split.table``.
    fold : int
    recipe : Recipe
    epochs : int, optional
        By default the recipe's.
    seed : int
    watch : callable, optional
        Called after every epoch with a dict: ``epoch`` (from 1), ``loss``, ``accuracy``, ``val_loss``,
        ``val_accuracy`` and ``val_uar``. If it returns something true, training ends there, and what was learned till
        then is kept.
    partial : path-like, optional
        As `model.fit` takes it.
    progress : bool

    Returns
    -------
    Fold
    """
    emotions = labels.ordered(split.table["emotion"])
    tested = (split.table["fold"] == fold).to_numpy()
    train, test, X_train, X_test = split.table[~tested], split.table[tested], X[~tested], X[tested]
    y_train = train["emotion"].to_numpy()
    if recipe.training.validation == "test":
        held_out, validation, source = np.zeros(len(train), bool), test, "test"
    else:
        held_out, unit = splitting.validation(train, by_speaker=not split.is_speaker_dependent, seed=seed)
        validation, source = train[held_out], f"a tenth of the training part, by {unit}"
    X_validation, y_validation = X[validation.index], validation["emotion"].to_numpy()

    def watched(network, epoch, scores):
        true = np.searchsorted(emotions, y_validation)  # emotions are in the alphabet's order
        is_right = network.predict_on_batch(X_validation[..., None]).argmax(axis=1) == true
        counts = (np.bincount(some, minlength=len(emotions)) for some in (true[is_right], true))
        return watch({"epoch": epoch, **scores, "val_uar": float(mean_recall(*counts))})

    network, history = model.fit(
        recipe,
        X_train[~held_out],
        y_train[~held_out],
        emotions=emotions,
        validation=(X_validation, y_validation),
        epochs=epochs,
        seed=seed,
        callbacks=[] if watch is None else [model.after_epoch(watched)],
        partial=partial,
        progress=progress,
    )

    def said_of(rows, X):
        about = {"recipe": recipe.name, "protocol": split.protocol, "seed": seed, "fold": fold}
        scored = rows[["utterance", "corpus", "speaker"]].assign(**about, y_true=rows["emotion"])
        table = table_of(scored, model.probabilities(network, X), emotions)
        table.attrs = {"synthetic": bool(split.table.attrs.get("synthetic"))}
        return table

    tables = said_of(test, X_test), said_of(validation, X_validation)
    return Fold(network, history.assign(fold=fold), *tables, source, int((~held_out).sum()))


def contract(fold, split, *, X, recipe):
    """Write the contract of a fold's model, for `model.save`.

    Parameters
    ----------
    fold : Fold
        As `fit_fold` returned it.
    split : Split
        What it was made from.
    X : ndarray of float32, shape (n_utterances, n_mfcc)
        Likewise, in the order of ``split.table``.
    recipe : Recipe

    Returns
    -------
    model.Bundle
    """
    scored, number = summary(fold.predictions), fold.predictions["fold"].iloc[0]
    is_train = (split.table["fold"] != number).to_numpy()
    train = split.table[is_train]
    return model.Bundle(
        corpus=str(train["corpus"].iloc[0]),
        synthetic=bool(split.table.attrs.get("synthetic")),
        emotions=emotions_of(fold.predictions),
        recipe=recipe,
        epochs=len(fold.history),
        seed=scored["seed"],
        split={
            "protocol": split.protocol,
            "seed": split.seed,
            "n_train": fold.n_train,
            "n_test": scored["n"],
            "n_validation": len(fold.validated),
            "validation": fold.validation,
        },
        speakers=tuple(sorted(set(train["speaker"]))),
        score={key: scored[key] for key in ("protocol", "n", "accuracy", "uar")},
        familiar=model.Familiar.learn(X[is_train], train["speaker"]).to_dict(),
    )


def refuse_to_tell(bundle, *, corpus, synthetic, recipe, epochs, protocol):
    """Raise unless a score is one on unseen speakers, of a bundle's own corpus, recipe and epochs.

    Parameters
    ----------
    bundle : model.Bundle
    corpus : str
        The corpus id that is evaluated.
    synthetic : bool
        Whether it is evaluated on synthetic speech.
    recipe : Recipe
    epochs : int
    protocol : str

    Raises
    ------
    ValueError
    """
    if protocol not in ("speakers", "loso"):
        raise ValueError(
            f"{protocol} does not keep speakers apart; a bundle is told scores of 'speakers' or 'loso' only"
        )
    has = (bundle.corpus, bundle.synthetic, bundle.recipe, bundle.epochs)
    wants = (corpus, synthetic, recipe, epochs)
    if has != wants:
        names = [f"{'synthetic ' if s else ''}{c}, {r.name}, {e} epochs" for c, s, r, e in (has, wants)]
        what = f"is of {names[0]}; the evaluation is of {names[1]}"
        raise ValueError(f"the bundle {what}: they must agree in every setting. Train it again, or evaluate the same")


def tell(folder, result):
    """Write a score on unseen speakers into a bundle, and its card.

    Parameters
    ----------
    folder : path-like
        The bundle's.
    result : Result
        Of ``speakers`` or ``loso``, the bundle's own corpus, recipe and epochs.

    Returns
    -------
    model.Bundle
        With ``honest``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no bundle, it is damaged, or the result is not of its kind.
    """
    bundle, scored, about = model.read_contract(folder), summary(result.predictions), result.about
    recipe = settings.Recipe.from_dict(about["settings"])
    refuse_to_tell(
        bundle,
        corpus=scored["corpus"],
        synthetic=about["synthetic"],
        recipe=recipe,
        epochs=about["epochs"],
        protocol=scored["protocol"],
    )
    keys = ("protocol", "n", "n_folds", "seed", "accuracy", "uar", "uar_ci95", "per_emotion")
    bundle = dataclasses.replace(bundle, honest={key: scored[key] for key in keys})
    model.write_contract(folder, bundle)
    return bundle


def table_of(scored, probabilities, emotions):
    """Put probabilities beside the rows they belong to.

    Parameters
    ----------
    scored : DataFrame, n_utterances rows
        The columns that come before ``y_pred``.
    probabilities : ndarray, shape (n_utterances, n_emotions)
    emotions : sequence of str

    Returns
    -------
    DataFrame
        A predictions table.
    """
    y_pred = np.array(emotions)[probabilities.argmax(axis=1)]
    table = scored.assign(y_pred=y_pred)[list(KEYS)].reset_index(drop=True)
    columns = [f"p_{emotion}" for emotion in emotions]
    return pd.concat([table, pd.DataFrame(probabilities.astype(np.float64), columns=columns)], axis=1)


def cross_validate(split, X, *, recipe, epochs=None, seed=SEED, n_jobs=None, folder=None, progress=False):
    """Train and score every fold of a split.

    Parameters
    ----------
    split : Split
    X : ndarray of float32, shape (n_utterances, n_mfcc)
        In the order of ``split.table``.
    recipe : Recipe
    epochs : int, optional
        By default the recipe's.
    seed : int
    n_jobs : int, optional
        Folds trained at once, in processes, as joblib counts them; by default one.
    folder : path-like, optional
        Where each fold is stored as soon as it is done; a fold that is there is not trained again. The folder belongs
        to this split, recipe, seed and number of epochs alone.
    progress : bool
        Whether to show a progress bar over the folds on stderr.

    Returns
    -------
    Result
    """
    run = joblib.delayed(_scored_fold)
    jobs = settings.parallel(n_jobs=n_jobs, return_as="generator")(
        run(split, X, fold, folder, recipe=recipe, epochs=epochs, seed=seed) for fold in range(split.n_folds)
    )
    folds = list(tqdm(jobs, desc=split.protocol, total=split.n_folds, unit="fold", disable=not progress))
    predictions, validated, history = (
        pd.concat([getattr(fold, name) for fold in folds], ignore_index=True)
        for name in ("predictions", "validated", "history")
    )
    predictions.attrs = validated.attrs = {"synthetic": bool(split.table.attrs.get("synthetic"))}
    sources = sorted({fold.about["validation"] for fold in folds})
    about = {"epochs": epochs or recipe.training.epochs, "validation": "; ".join(sources)}
    return Result(predictions, validated, history[list(model.HISTORY_COLUMNS)], about)


def _scored_fold(split, X, fold, folder, **how):
    """Run a fold where its network may be left behind: only tables travel between processes, and to the folder."""
    file = None if folder is None else Path(folder) / f"fold-{fold}.csv.gz"
    if file is not None:
        try:
            return read(file)
        except FileNotFoundError:
            pass
        except ValueError:
            for damaged in _files(file):
                damaged.unlink(missing_ok=True)
    done = fit_fold(split, X, fold, **how)
    tunable = done.validated if done.validation != "test" else done.validated[:0]  # nothing may be tuned on the test
    result = Result(done.predictions, tunable, done.history, {"validation": done.validation})
    if file is not None:
        with contextlib.suppress(FileNotFoundError):  # another process may be done with the same, and with the folder
            write(result, file)
    return result


def run(
    table,
    *,
    protocol="speakers",
    n_folds=None,
    test_table=None,
    recipe,
    normalise=None,
    epochs=None,
    seed=SEED,
    n_jobs=None,
    roots=None,
    folder=None,
    verify=False,
    progress=False,
):
    """Split an index table, extract its features, train and score every fold.

    Parameters
    ----------
    table : DataFrame
        An index table.
    protocol : str
        One of `split.PROTOCOLS`.
    n_folds : int, optional
        As the protocol takes it; ``random`` without it scores exactly the index's test part.
    test_table : DataFrame, optional
        The index table to test on, for ``cross-corpus``.
    recipe : Recipe
    normalise : str, optional
        ``speaker``: each speaker's vectors are standardised by that speaker's own, without labels, the tested ones,
        too. A protocol of its own (``speakers-normalised``): it needs more than one recording of whom it is used on.
    epochs : int, optional
        By default as `epochs_for` says.
    seed : int
    n_jobs : int, optional
        As `cross_validate` takes it.
    roots : dict of str to path-like, optional
        Where a corpus's recordings are, by corpus id, if not where they were indexed.
    folder : path-like, optional
        Where folds are stored as soon as they are done, until all are: each evaluation has a folder of its own in it.
    verify : bool
        As `features.extract` takes it.
    progress : bool

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        If the protocol is unknown or cannot be had, or `normalise` is unknown.
    """
    if normalise not in (None, "speaker"):
        raise ValueError(f"normalise is {normalise!r}; expected 'speaker', or nothing")
    split = splitting.make(table, protocol, n_folds=n_folds, test_index=test_table, seed=seed)
    tables = [table] if test_table is None else [table, test_table]
    X = _vectors(split, tables, recipe, roots or {}, verify=verify, progress=progress)
    if normalise:
        X = features.standardise(X, split.table["speaker"])
    epochs = epochs_for(table, recipe, epochs)
    if folder is not None:
        key = f"{fingerprint(split)} {recipe} {normalise} {epochs} {seed}".encode()
        folder = Path(folder) / hashlib.sha256(key).hexdigest()[:16]
    result = cross_validate(
        split, X, recipe=recipe, epochs=epochs, seed=seed, n_jobs=n_jobs, folder=folder, progress=progress
    )
    if normalise:
        result.predictions["protocol"] = result.validated["protocol"] = f"{protocol}-normalised"
    about = {
        "trained_on": table["corpus"].iloc[0],
        "settings": recipe.to_dict(),
        "normalise": normalise,
        "synthetic": result.predictions.attrs["synthetic"],
        "labels": table.attrs.get("labels"),
        "dropped": table.attrs.get("dropped", []),
        "problems": table.attrs.get("problems", []),
        "split": fingerprint(split),
        "leaks": splitting.audit(split).to_dict("records"),
    }
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)  # another process may have been at the same, and be done with it
    return dataclasses.replace(result, about=result.about | about)


def _vectors(split, tables, recipe, roots, **how):
    """Extract each corpus's features from its own folder, in the order of the split's rows."""
    X = np.empty((len(split.table), recipe.features.n_mfcc), np.float32)
    for table in tables:
        corpus = table["corpus"].iloc[0]
        mine = (split.table["corpus"] == corpus).to_numpy()
        root = roots.get(corpus) or index.root_of(table)
        X[mine] = features.extract(split.table[mine], features=recipe.features, root=root, **how)
    return X


def fingerprint(split):
    """Return a hash of a split: which recordings with which labels are tested by which fold."""
    columns = split.table[["utterance", "emotion", "content", "fold"]]
    return hashlib.sha256(columns.to_csv(index=False, lineterminator="\n").encode()).hexdigest()[:16]


def obtain(corpus, *, protocol, recipe, seed=SEED, test_on=None, n_jobs=None):
    """Return the current profile's result of a protocol with its usual folds: stored, else run now and stored.

    A run that is stopped goes on with the first fold that was not done.

    Parameters
    ----------
    corpus : str
        The corpus's name; it is indexed if need be.
    protocol : str
        ``random``, ``speakers``, ``loso`` or ``cross-corpus``.
    recipe : Recipe
    seed : int
        Draws weights, batches, folds, and, for ``random``, the test part.
    test_on : str, optional
        The corpus to test on, for ``cross-corpus``.
    n_jobs : int, optional
        As `run` takes it.

    Returns
    -------
    Result
    """
    table, here = index.redraw(index.load(corpus), seed=seed), settings.current()
    test_table = index.load(test_on) if test_on else None
    name = f"{protocol}-{test_table['corpus'].iloc[0]}" if test_on else protocol
    file = result_file(here.results, table["corpus"].iloc[0], recipe.name, name, seed)
    wanted = {
        "split": fingerprint(splitting.make(table, protocol, test_index=test_table, seed=seed)),
        "epochs": epochs_for(table, recipe),
        "settings": json.loads(json.dumps(recipe.to_dict())),
    }
    with contextlib.suppress(FileNotFoundError):
        if (stored := read(file)).about.items() >= wanted.items():
            return stored
    how = {"protocol": protocol, "test_table": test_table, "recipe": recipe, "seed": seed, "n_jobs": n_jobs}
    write(run(table, **how, folder=here.runs / "folds"), file)
    return read(file)


def across(names, *, recipe, seed=SEED, n_jobs=-1):
    """Train on each corpus and test on each of the others: `obtain` for every pair, several at once.

    Parameters
    ----------
    names : sequence of str
        Corpora at hand.
    recipe : Recipe
    seed : int
    n_jobs : int

    Returns
    -------
    DataFrame
        A row per pair: ``trained_on``, ``corpus`` (tested), ``uar``, ``chance`` and ``n`` (utterances tested).
    """
    pairs = list(itertools.permutations([index.load(name)["corpus"].iloc[0] for name in names], 2))
    jobs = (joblib.delayed(_from_to)(*pair, recipe=recipe, seed=seed) for pair in pairs)
    return pd.DataFrame(settings.parallel(n_jobs=n_jobs)(jobs))


def _from_to(train, test, **how):
    scored = summary(obtain(train, protocol="cross-corpus", test_on=test, **how).predictions)
    return {"trained_on": train, **{key: scored[key] for key in ("corpus", "uar", "chance", "n")}}


def stored(folder):
    """Return what is known of all results in a folder.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    DataFrame
        A row per result: its ``file`` (the predictions table) and what its sidecar says, `summary` among it.
    """
    rows = []
    settings.settle_all(folder)
    for file in sorted(Path(folder).glob("*/*/*/seed-*.json")):
        name = {"file": str(file.with_suffix(".csv.gz"))}  # it comes first, whatever the sidecar says
        rows.append(name | _sidecar(file) | name)
    return pd.DataFrame(rows, columns=None if rows else ["file", "corpus", "protocol", "recipe", "seed"])


def emotions_of(predictions):
    """Return the emotions a predictions table has probabilities for, in the vocabulary's order."""
    return labels.ordered(column[2:] for column in predictions if column.startswith("p_"))


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
    """Count the utterances of each speaker and emotion: those that were recognised, and all.

    Parameters
    ----------
    predictions : DataFrame

    Returns
    -------
    n_right, n : pair of DataFrame of int, shape (n_speakers, n_emotions)
        A row per speaker, sorted; a column per emotion present in ``y_true``.
    """
    is_right = predictions["y_true"] == predictions["y_pred"]
    counts = is_right.groupby([predictions["speaker"], predictions["y_true"]]).agg(["sum", "size"])
    counts = counts.unstack(fill_value=0)
    return counts["sum"], counts["size"]


def accuracy(predictions):
    """Return the share of utterances whose emotion was recognised."""
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
    """Count what was said of what.

    Parameters
    ----------
    predictions : DataFrame

    Returns
    -------
    DataFrame of int, shape (n_emotions, n_emotions)
        A row per true, a column per predicted emotion, all emotions of the model, in the vocabulary's order.
    """
    emotions = list(emotions_of(predictions))
    counts = sklearn.metrics.confusion_matrix(predictions["y_true"], predictions["y_pred"], labels=emotions)
    return pd.DataFrame(counts, index=pd.Index(emotions, name="y_true"), columns=pd.Index(emotions, name="y_pred"))


def summary(predictions):
    """Sum a predictions table up.

    Parameters
    ----------
    predictions : DataFrame
        Of one corpus, recipe, protocol and seed.

    Returns
    -------
    dict
        ``corpus``, ``protocol``, ``recipe``, ``seed``, ``n``, ``n_folds``, ``accuracy``, ``uar``, ``uar_ci95``
        (list of two, or None), ``per_emotion`` (recall, None where absent), ``chance`` (of the UAR).
    """
    first, interval = predictions.iloc[0], uar_interval(predictions)
    recall = per_emotion(predictions)["recall"]
    return {
        "corpus": str(first["corpus"]),
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
    """Return the accuracy of always naming the commonest emotion."""
    return float(predictions["y_true"].value_counts(normalize=True).max())


def result_file(folder, corpus, recipe, protocol, seed):
    """Return where a folder of results keeps a predictions table."""
    return Path(folder) / corpus / recipe / protocol / f"seed-{seed}.csv.gz"


def refuse_place(file):
    """Raise if a result cannot be written: before any work.

    Parameters
    ----------
    file : path-like
        As `write` takes it.

    Raises
    ------
    ValueError
        If it is no table's name, or somebody else's JSON file beside it would be lost.
    OSError
        If a folder is there, or nothing can be.
    """
    file = Path(file)
    if not file.name.endswith((".csv", ".csv.gz")):
        raise ValueError(f"{file} is no name of a table; expected one that ends in .csv or .csv.gz")
    settings.refuse_place(*_files(file))


def write(result, file):
    """Store a result: the predictions table, and beside it what else it has, and a JSON file that says what it is.

    Parameters
    ----------
    result : Result
    file : path-like
        Ends in ``.csv`` or ``.csv.gz``.
    """
    sidecar = {**summary(result.predictions), **result.about}
    with replacing_together(*_files(file)) as (predictions, validated, history, about):
        predictions.write_bytes(_csv_bytes(result.predictions, decimals=4, compressed=predictions.suffix == ".gz"))
        validated.write_bytes(_csv_bytes(result.validated, decimals=4, compressed=True))
        history.write_bytes(_csv_bytes(result.history, decimals=6, compressed=True))
        about.write_text(json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _csv_bytes(table, *, decimals, compressed):
    """Return a table as the bytes of a CSV file; the same table gives the same bytes."""
    content = table.to_csv(index=False, float_format=f"%.{decimals}f", lineterminator="\n").encode()
    return gzip.compress(content, mtime=0) if compressed else content


def read(file):
    """Read a result that `write` stored.

    Returns
    -------
    Result

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is damaged.
    """
    files = _files(file)
    with settings.settled(files[0]):
        if missing := [one for one in files if not one.is_file()]:
            raise FileNotFoundError(f"{missing[0]} does not exist; make it with 'python -m serlib evaluate'")
        predictions, validated, history = map(_table, files, (KEYS, KEYS, ()))
        about = _sidecar(files[-1])
    predictions.attrs = validated.attrs = {"synthetic": about.get("synthetic")}
    return Result(predictions, validated, history, about)


def _table(file, wanted):
    """Read a table of a result."""
    text = settings.read_text(file)
    settings.header(file, text, wanted=wanted, again="evaluate again")
    try:
        return pd.read_csv(io.StringIO(text))
    except ValueError as error:
        raise ValueError(f"{file} is not a CSV table ({error}); evaluate again") from None


def _sidecar(file):
    """Read what a result says of itself."""
    if not isinstance(about := settings.read_json(file), dict):
        raise ValueError(f"{file} does not say what result it belongs to; evaluate again")
    return about


def _files(file):
    """Return the files of a result: predictions, validated, history, and what it is."""
    file = Path(file)
    stem = file.name.removesuffix(".gz").removesuffix(".csv")
    return [file, *(file.with_name(f"{stem}.{rest}") for rest in ("validated.csv.gz", "history.csv.gz", "json"))]
