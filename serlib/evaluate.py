"""Split + recipe -> predictions: train and score one fold, or all of them; look for a stored result first.

A fold that is done is kept until all are, so that an evaluation that was stopped continues with the next.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from . import features, index, labels, metrics, models, results, settings
from . import split as splitting
from .results import Result
from .settings import SEED

SYNTHETIC_SHARE = 5  # synthetic speech is trained on for a fifth of a recipe's epochs: enough for the lesson
NO_CURVE = "none: this classifier learns in no epochs"
TABLES = ("predictions", "validated", "history")


@dataclass(frozen=True)
class Fold:
    """One fold's model and what came of it.

    Attributes
    ----------
    model : estimator
        Fitted.
    history : DataFrame
        ``fold``, ``epoch``, ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy``; no rows where there are no epochs.
    predictions : DataFrame
        A predictions table of the fold's test rows.
    validated : DataFrame
        Likewise of the rows that the validation curve was drawn from; no rows where there is none.
    validation : str
        What rows these are.
    n_train : int
        The number of utterances that were fitted.
    """

    model: object
    history: pd.DataFrame
    predictions: pd.DataFrame
    validated: pd.DataFrame
    validation: str
    n_train: int


def epochs_for(table, recipe, epochs=None):
    """Return the number of epochs: as asked for, else few for synthetic speech, else the recipe's own.

    Parameters
    ----------
    table : DataFrame
        An index table.
    recipe : Recipe
    epochs : int, optional

    Returns
    -------
    int or None
        None for a recipe whose classifier learns in none.

    Raises
    ------
    ValueError
        If fewer than 1 is asked for, or any of a classifier that learns in none.

    Examples
    --------
    >>> from serlib import evaluate, index, recipes
    >>> evaluate.epochs_for(index.load("emodb"), recipes.get("paper"))
    100
    >>> evaluate.epochs_for(index.load("emodb"), recipes.get("paper"), 20)
    20
    """
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs is {epochs}; expected 1 or more")
    if not models.has_epochs(recipe.model):
        if epochs is not None:
            models.with_epochs(recipe.model, epochs)
        return None
    own = recipe.model.get_params()["epochs"]
    return epochs or (max(1, own // SYNTHETIC_SHARE) if index.is_synthetic(table) else own)


def fit_fold(split, X, fold=0, *, recipe, epochs=None, seed=SEED, sample_weight=None, watch=None, progress=False):
    """Train on one fold's training rows and score its test rows.

    Parameters
    ----------
    split : Split
    X : ndarray of float32, shape (n_utterances, ...)
        In the order of ``split.table``.
    fold : int
    recipe : Recipe
    epochs : int, optional
        By default the recipe's.
    seed : int
    watch : callable, optional
        Called after every epoch with a dict: ``epoch`` (from 1), ``loss``, ``accuracy``, ``val_loss``,
        ``val_accuracy`` and ``val_uar``. If it returns something true, training ends there, and what was learned so
        far is kept.
    progress : bool

    Returns
    -------
    Fold

    Examples
    --------
    >>> from serlib import evaluate, features, index, recipes, split
    >>> chosen, recipe = split.speakers(index.load("emodb")), recipes.get("mfcc-mean+logistic")
    >>> X = features.extract(chosen.table, features=recipe.features)
    >>> fold = evaluate.fit_fold(chosen, X, 0, recipe=recipe)
    >>> fold.n_train + len(fold.predictions)
    280
    """
    emotions = labels.ordered(split.table["emotion"])
    tested = (split.table["fold"] == fold).to_numpy()
    train, test = split.table[~tested], split.table[tested]
    model, fitted = models.seeded(recipe.model, seed), np.ones(len(train), bool)
    validation, source, how = test[:0], NO_CURVE, {}
    if not models.has_epochs(model):
        fitted = (train["fold"] != -2).to_numpy()  # what a table keeps for validation is not trained on
    else:
        model = model if epochs is None else model.set_params(epochs=epochs)
        if recipe.validation == "test":
            validation, source = test, "test"
        else:
            held_out, source = splitting.validation(train, by_speaker=not split.is_speaker_dependent, seed=seed)
            validation, fitted = train[held_out], ~held_out
        X_validation, y_validation = X[validation.index], validation["emotion"].to_numpy(dtype=str)
        how = {"validation": (X_validation, y_validation), "progress": progress}
        if watch is not None:
            how["on_epoch"] = lambda model, scores: watch(
                {**scores, "val_uar": _uar(y_validation, model.predict(X_validation))}
            )
    rows = train[fitted]
    model.fit(X[rows.index], rows["emotion"].to_numpy(dtype=str), **how)
    history = model.history_.assign(fold=fold) if how else pd.DataFrame(columns=models.HISTORY_COLUMNS, dtype=float)

    def scored(rows):
        about = {"recipe": recipe.name, "protocol": split.protocol, "seed": seed, "fold": fold}
        table = rows[["utterance", "corpus", "speaker"]].assign(**about, y_true=rows["emotion"])
        predictions = metrics.table_of(table, _probabilities(model, X[rows.index], emotions), emotions)
        predictions.attrs = {"synthetic": index.is_synthetic(split.table)}
        return predictions

    return Fold(model, history, scored(test), scored(validation), source, int(fitted.sum()))


def _uar(y_true, y_pred):
    return metrics.uar(pd.DataFrame({"y_true": y_true, "y_pred": y_pred}))


def _probabilities(model, X, emotions):
    """Return a model's probabilities with a column for each emotion: 0 for one that it was never trained on."""
    known = np.zeros((len(X), len(emotions)))
    if len(X):
        known[:, [emotions.index(name) for name in model.classes_]] = model.predict_proba(X)
    return known


def cross_validate(split, X, *, recipe, epochs=None, seed=SEED, n_jobs=None, folder=None, progress=False):
    """Train and score every fold of a split.

    Parameters
    ----------
    split : Split
    X : ndarray of float32, shape (n_utterances, ...)
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

    Examples
    --------
    >>> from serlib import evaluate, features, index, recipes, split
    >>> chosen, recipe = split.loso(index.load("emodb")), recipes.get("mfcc-mean+logistic")
    >>> X = features.extract(chosen.table, features=recipe.features)
    >>> result = evaluate.cross_validate(chosen, X, recipe=recipe)
    >>> result.predictions["fold"].nunique()
    7
    """
    if len(X) != len(split.table):
        raise ValueError(f"X has {len(X):,} rows, the split {len(split.table):,}; extract the features of split.table")
    run = joblib.delayed(_scored_fold)
    jobs = features.parallel(n_jobs=n_jobs, return_as="generator")(
        run(split, X, fold, folder, recipe=recipe, epochs=epochs, seed=seed) for fold in range(split.n_folds)
    )
    folds = list(tqdm(jobs, desc=split.protocol, total=split.n_folds, unit="fold", disable=not progress))
    predictions, validated, history = (_together([getattr(fold, name) for fold in folds]) for name in TABLES)
    predictions.attrs = validated.attrs = {"synthetic": index.is_synthetic(split.table)}
    sources = sorted({fold.about["validation"] for fold in folds})
    about = {"epochs": folds[0].about["epochs"], "validation": "; ".join(sources)}
    return Result(predictions, validated, history[list(models.HISTORY_COLUMNS)], about)


def _together(tables):
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else tables[0]


def _scored_fold(split, X, fold, folder, **how):
    """Run a fold and drop its model: only tables are passed between processes and stored."""
    file = None if folder is None else Path(folder) / f"fold-{fold}.csv.gz"
    if file is not None:
        try:
            return results.read(file)
        except FileNotFoundError:
            pass
        except ValueError:  # one that is damaged is run again
            for damaged in results.files_of(file):
                damaged.unlink(missing_ok=True)
    done = fit_fold(split, X, fold, **how)
    tunable = done.validated if done.validation != "test" else done.validated[:0]  # nothing may be tuned on the test
    epochs = done.model.get_params().get("epochs")
    result = Result(done.predictions, tunable, done.history, {"validation": done.validation, "epochs": epochs})
    if file is not None:
        results.write(result, file)
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
    root=None,
    folder=None,
    verify=False,
    progress=False,
):
    """Split an index table, extract its features, train and score every fold.

    Parameters
    ----------
    table : DataFrame
        An index table, of one or several corpora.
    protocol : str
        One of `split.PROTOCOLS`.
    n_folds : int, optional
        As the protocol takes it; ``random`` without it scores exactly the index's test part.
    test_table : DataFrame, optional
        The index table to test on, for ``cross-corpus``.
    recipe : Recipe
    normalise : str, optional
        ``speaker``: each speaker's vectors are standardised by that speaker's own, without labels, the tested ones,
        too. ``corpus``: likewise each corpus's. Both are protocols of their own, such as ``speakers-normalised``: they
        need more than one recording of whom they are used on.
    epochs : int, optional
        By default as `epochs_for` says.
    seed : int
    n_jobs : int, optional
        As `cross_validate` takes it.
    root : path-like, or dict of str to path-like, optional
        Where the recordings are, or those of each corpus, if not where they were indexed.
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

    Examples
    --------
    >>> from serlib import evaluate, index, recipes
    >>> recipe = recipes.get("mfcc-mean+logistic")
    >>> result = evaluate.run(index.load("emodb"), protocol="speakers", n_folds=3, recipe=recipe)
    >>> len(result.predictions), result.predictions["fold"].nunique()
    (280, 3)
    """
    splitting.protocol_name(protocol, normalise)  # before any work
    split = splitting.make(table, protocol, n_folds=n_folds, test_index=test_table, seed=seed)
    epochs = epochs_for(split.table, recipe, epochs)
    X = features.extract(split.table, features=recipe.features, root=root, verify=verify, progress=progress)
    if normalise:
        X = features.standardise(X, split.table[normalise])
    if folder is not None:
        key = f"{fingerprint(split)} {recipe.name} {recipe.fingerprint()} {normalise} {epochs} {seed}".encode()
        folder = Path(folder) / hashlib.sha256(key).hexdigest()[:16]
    result = cross_validate(
        split, X, recipe=recipe, epochs=epochs, seed=seed, n_jobs=n_jobs, folder=folder, progress=progress
    )
    if normalise:
        for scored in (result.predictions, result.validated):
            scored["protocol"] = splitting.protocol_name(split.protocol, normalise)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)  # another process may have been at the same, and be done with it
    return dataclasses.replace(result, about=result.about | about(split, recipe, normalise))


def about(split, recipe, normalise=None):
    """Return what a result says of how it was made.

    Parameters
    ----------
    split : Split
    recipe : Recipe
    normalise : str, optional

    Returns
    -------
    dict
        ``trained_on`` (corpora), ``settings`` (of the recipe), ``normalise``, ``synthetic``, ``labels``,
        ``relabelled``, ``dropped``, ``problems``, ``task`` (as `index.fingerprint` returns it), ``split`` (likewise,
        with the folds) and ``leaks``.

    Examples
    --------
    >>> from serlib import evaluate, index, recipes, split
    >>> about = evaluate.about(split.random(index.load("emodb")), recipes.get("mfcc-mean+logistic"))
    >>> about["trained_on"], about["synthetic"], about["leaks"][0]["kind"], about["leaks"][0]["shared"]
    ('emodb', True, 'speaker', 7)
    """
    table, known = split.table, index.sources(split.table)
    problems = [problem for source in known.values() for problem in source.get("problems", [])]
    trained = table[table["fold"] != 0] if split.n_folds == 1 else table
    problems += [
        f"{emotion} is tested ({n:,} utterances) in folds that train on none of it: its recall there is 0"
        for emotion, n in split.untrained.items()
    ]
    return {
        "trained_on": metrics.corpus_name(trained),
        "settings": recipe.settings(),
        "normalise": normalise,
        "synthetic": index.is_synthetic(table),
        "labels": index.label_versions(table),
        "relabelled": next(filter(None, (one.get("relabelled") for one in (table.attrs, *known.values()))), {}),
        "dropped": [dropped for source in known.values() for dropped in source.get("dropped", [])],
        "problems": problems,
        "task": index.fingerprint(table),
        "split": fingerprint(split),
        "leaks": splitting.audit(split).to_dict("records"),
    }


def fingerprint(split):
    """Return a hash of a split: which recordings with which labels are tested by which fold.

    Examples
    --------
    >>> from serlib import evaluate, index, split
    >>> table = index.load("emodb")
    >>> evaluate.fingerprint(split.random(table)) == evaluate.fingerprint(split.speakers(table))
    False
    """
    columns = split.table[["utterance", "emotion", "content", "fold"]]
    return hashlib.sha256(columns.to_csv(index=False, lineterminator="\n").encode()).hexdigest()[:16]


def load_or_run(corpus, *, protocol, recipe, seed=SEED, test_on=None, normalise=None, n_jobs=None):
    """Return the current profile's result of a protocol with its usual folds: stored, else run now and stored.

    Parameters
    ----------
    corpus : str or sequence of str
        The corpora's names; they are indexed if need be.
    protocol : str
        ``random``, ``speakers``, ``loso``, ``sentences``, ``cross-corpus``, or ``given-parts``: those of the table.
    recipe : Recipe
    seed : int
        Draws weights, batches, folds, and, for ``random``, the test part.
    test_on : str, optional
        The corpus to test on, for ``cross-corpus``.
    normalise, n_jobs
        As `run` takes them.

    Returns
    -------
    Result

    Examples
    --------
    >>> from serlib import evaluate, recipes
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("mfcc-mean+logistic"))
    >>> list(result.predictions)[-7:]
    ['p_anger', 'p_boredom', 'p_disgust', 'p_fear', 'p_happiness', 'p_neutral', 'p_sadness']
    """
    tables = [index.load(name) for name in ([corpus] if isinstance(corpus, str) else corpus)]
    table, here = index.join(tables), settings.current()
    if protocol != splitting.GIVEN:
        table = index.redraw(table, seed=seed)
    test_table = index.load(test_on) if test_on else None
    split = splitting.make(table, protocol, test_index=test_table, seed=seed)
    name = splitting.protocol_name(protocol, normalise) + (f"-{metrics.corpus_name(test_table)}" if test_on else "")
    file = results.file_of(here.results, metrics.corpus_name(table), recipe.name, name, seed)
    epochs = epochs_for(split.table, recipe)
    wanted = {"split": fingerprint(split), "epochs": epochs, "settings": recipe.settings(), "normalise": normalise}
    with contextlib.suppress(FileNotFoundError, ValueError):  # a damaged one is made again
        if (stored := results.read(file)).about.items() >= wanted.items():
            return stored
    how = {"protocol": protocol, "test_table": test_table, "normalise": normalise, "seed": seed, "n_jobs": n_jobs}
    results.write(run(table, recipe=recipe, **how, folder=here.runs / "folds"), file)
    return results.read(file)


def across(names, *, recipe, seed=SEED, n_jobs=-1):
    """Train on each corpus and test on each of the others: `load_or_run` for every pair, several at once.

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

    Examples
    --------
    >>> from serlib import evaluate, recipes
    >>> evaluate.across(["emodb", "ravdess"], recipe=recipes.get("mfcc-mean+logistic"))[["trained_on", "corpus", "n"]]
      trained_on   corpus    n
    0      emodb  ravdess   48
    1    ravdess    emodb  237
    """
    pairs = list(itertools.permutations([metrics.corpus_name(index.load(name)) for name in names], 2))
    jobs = (joblib.delayed(_from_to)(*pair, recipe=recipe, seed=seed) for pair in pairs)
    return pd.DataFrame(features.parallel(n_jobs=n_jobs)(jobs))


def _from_to(train, test, **how):
    scored = metrics.summary(load_or_run(train, protocol="cross-corpus", test_on=test, **how).predictions)
    return {"trained_on": train, **{key: scored[key] for key in ("corpus", "uar", "chance", "n")}}
