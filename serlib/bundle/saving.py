"""Train, export and save: a fold's model as a bundle; its score on unseen speakers, once that is known."""

import base64
import contextlib
import hashlib
import importlib.metadata
import io
import json
import platform
import warnings
from pathlib import Path

import msgspec
import numpy as np

from .. import __version__, audio, features, settings, storage
from .card import card
from .contract import Bundle, Golden, Score, Training, UnseenScore, read
from .novelty import NoveltyDetector

FILES = ("MODEL_CARD.md", "bundle.json", "history.csv", "model.keras", "model.onnx")
PICTURES = ("learning-curves", "confusion")  # which `train -a -c` draws into a bundle: a PNG file and its sidecar each


def train(table, *, recipe, folder=None, epochs=None, seed=settings.SEED, root=None, verify=False, progress=False):
    """Fit a recipe on a table's training part, score it on the test part, and save it.

    Parameters
    ----------
    table : DataFrame
        An index table, of one or several corpora.
    recipe : recipes.Recipe
    folder : path-like, optional
        Where the bundle goes; by default in the profile's folder of models.
    epochs, seed
        As `evaluate.fit_fold` takes them.
    root, verify, progress
        As `features.extract` takes them.

    Returns
    -------
    Bundle
    fold : evaluate.Fold
    folder : Path

    Raises
    ------
    ValueError, OSError
        If the folder cannot be replaced, the table cannot be trained on, or the classifier cannot be exported.

    Examples
    --------
    >>> from serlib import bundle, index, recipes
    >>> recipe = recipes.get("mfcc-mean+logistic")
    >>> saved, fold, folder = bundle.train(index.load("emodb"), recipe=recipe, folder="trained")
    >>> sorted(file.name for file in folder.iterdir())
    ['MODEL_CARD.md', 'bundle.json', 'model.onnx']
    """
    from .. import evaluate, split

    parts = split.from_parts(table)
    folder = folder_of(table, recipe) if folder is None else Path(folder)
    refuse_place(folder)
    epochs = evaluate.epochs_for(parts.table, recipe, epochs)
    X = features.extract(parts.table, features=recipe.features, root=root, verify=verify, progress=progress)
    fold = evaluate.fit_fold(parts, X, recipe=recipe, epochs=epochs, seed=seed, progress=progress)
    return save(folder, fold, parts, X=X, recipe=recipe), fold, folder


def load_or_train(table, *, recipe):
    """Return the folder of a recipe's bundle, trained on a table: the one that is there, or else a new one.

    A bundle of another task or other settings, or one that cannot be read, is replaced.

    Parameters
    ----------
    table : DataFrame
        An index table.
    recipe : recipes.Recipe

    Returns
    -------
    Path

    Examples
    --------
    >>> from serlib import bundle, index, recipes
    >>> folder = bundle.load_or_train(index.load("emodb"), recipe=recipes.get("mfcc-mean+logistic"))
    >>> bundle.read(folder).recipe
    'mfcc-mean+logistic'
    """
    from .. import evaluate, index

    folder, model, epochs = folder_of(table, recipe), recipe.settings()["model"], evaluate.epochs_for(table, recipe)
    wanted = (index.fingerprint(table), features.to_dict(recipe.features), model, epochs)
    try:
        saved = read(folder)
        is_wanted = (saved.task, saved.features, saved.model, saved.epochs) == wanted
    except (OSError, ValueError):
        is_wanted = False
    if not is_wanted:
        train(table, recipe=recipe)
    return folder


def folder_of(table, recipe):
    """Return where the current profile keeps the bundle of a recipe, trained on a table.

    Examples
    --------
    >>> from serlib import bundle, index, recipes
    >>> bundle.folder_of(index.load("emodb"), recipes.get("paper")).name
    'emodb-paper'
    """
    from .. import index

    task = f"-{index.fingerprint(table)[:8]}" if table.attrs.get("relabelled") else ""
    held_out = "+".join(speaker.split("/", 1)[1] for speaker in table.attrs.get("held_out", ()))
    without = f"-without-{held_out}" if held_out else ""
    return settings.current().models / f"{'+'.join(index.names(table))}-{recipe.name}{task}{without}"


def save(folder, fold, split, *, X, recipe, voice=None, distance=None, never_heard=(), licence=""):
    """Write a fold's model as a bundle; it appears whole or not at all.

    Parameters
    ----------
    folder : path-like
        Replaced if it holds a bundle already.
    fold : evaluate.Fold
        As `evaluate.fit_fold` returned it.
    split : Split
        What it was made from.
    X : ndarray of float32, shape (n_utterances, ...)
        Likewise, in the order of ``split.table``.
    recipe : recipes.Recipe
    voice : VoiceCentre, optional
        What calibrates the model to a stranger's voice.
    distance : DistanceDetector, optional
        What tells a voice from afar.
    never_heard : sequence of NeverHeard
        Its scores on corpora that it never heard.
    licence : str
        Under which the model may be passed on.

    Returns
    -------
    Bundle

    Raises
    ------
    ValueError
        If `folder` is there and is not a bundle, the features are not in `features.KINDS`, or the classifier cannot be
        exported.

    Examples
    --------
    >>> from serlib import bundle, evaluate, features, index, recipes, split
    >>> chosen, recipe = split.from_parts(index.load("emodb")), recipes.get("mfcc-mean+logistic")
    >>> X = features.extract(chosen.table, features=recipe.features)
    >>> saved = bundle.save("saved", evaluate.fit_fold(chosen, X, recipe=recipe), chosen, X=X, recipe=recipe)
    >>> saved.score.protocol, saved.score.n
    ('random', 56)
    """
    from .. import index, metrics
    from ..models import HISTORY_COLUMNS

    folder = Path(folder)
    refuse_place(folder)
    kind = features.to_dict(recipe.features)
    if features.KINDS.get(kind["kind"]) is not type(recipe.features):
        raise ValueError(
            f"{recipe.name}: features of the kind {kind['kind']!r} are not in features.KINDS, so that no bundle may"
            " name them; they can be evaluated, not saved. Register them: features.KINDS[name] = kind"
        )
    onnx, order = to_onnx(fold.model, recipe.features.shape), list(metrics.emotions_of(fold.predictions))
    if (known := list(fold.model.classes_)) != order:
        missing = ", ".join(sorted(set(order) - set(known)))
        raise ValueError(
            f"{recipe.name} was never trained on {missing}, which the table holds; give it such utterances"
        )
    scored = metrics.summary(fold.predictions)
    is_train = (split.table["fold"] != scored_fold(fold)).to_numpy()
    train = split.table[is_train]
    wav = golden_wav()
    answer = fold.model.predict_proba(features.from_file(io.BytesIO(wav), features=recipe.features)[None])[0]
    bundle = Bundle(
        corpora=tuple(index.names(train)),
        synthetic=index.is_synthetic(split.table),
        emotions=tuple(order),
        recipe=recipe.name,
        features=kind,
        model=recipe.settings()["model"],
        epochs=len(fold.history) or None,
        seed=scored["seed"],
        task=index.fingerprint(split.table),
        labels=index.label_versions(split.table),
        relabelled=split.table.attrs.get("relabelled", {}),
        split=Training(split.protocol, split.seed, fold.n_train, scored["n"], len(fold.validated), fold.validation),
        speakers=tuple(sorted(set(train["speaker"]))),
        never_heard=tuple(never_heard),
        voice=voice,
        distance=distance,
        licence=licence,
        score=Score(*(scored[key] for key in ("protocol", "n", "accuracy", "uar"))),
        novelty=NoveltyDetector.fit(X[is_train], train["speaker" if train["corpus"].nunique() == 1 else "corpus"]),
        versions=_versions(),
        golden=Golden(base64.b64encode(wav).decode(), tuple(round(float(p), 6) for p in answer)),
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
    )
    with storage.replacing(folder) as making:
        making.mkdir()
        (making / "model.onnx").write_bytes(onnx)
        if hasattr(fold.model, "network_"):
            fold.model.network_.save(making / "model.keras")
        if len(fold.history):
            columns = list(HISTORY_COLUMNS)
            fold.history.assign(fold=0)[columns].to_csv(making / "history.csv", index=False, float_format="%.6f")
        _write_contract(making, bundle)
    return bundle


def scored_fold(fold):
    """Return the number of the fold that a model was scored on."""
    return fold.predictions["fold"].iloc[0]


def to_onnx(model, shape):
    """Return a fitted classifier as the bytes of an ONNX file whose output is the probabilities; `shape` is X[0]'s.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import bundle, models
    >>> X, y = np.eye(4, dtype=np.float32), np.array(["anger", "fear", "anger", "fear"])
    >>> isinstance(bundle.to_onnx(models.get("logistic").fit(X, y), (4,)), bytes)
    True
    """
    if hasattr(model, "to_onnx"):
        return model.to_onnx()
    from skl2onnx import to_onnx, update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
    from skl2onnx.operator_converters.linear_classifier import convert_sklearn_linear_classifier

    from ..models import Lda, Svm

    shapes, convert = calculate_linear_classifier_output_shapes, convert_sklearn_linear_classifier
    how = {"zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True]}
    how |= {"raw_scores": [True, False]}
    for kind in (Lda, Svm):
        update_registered_converter(kind, f"Serlib{kind.__name__}", shapes, convert, options=how)
    try:
        warnings.filterwarnings("ignore", "Attribute `prob[AB]_` was deprecated", FutureWarning)  # skl2onnx reads them
        converted = to_onnx(model, np.zeros((1, *shape), np.float32), options={"zipmap": False})
        return select_model_inputs_outputs(converted, "probabilities").SerializeToString()
    except Exception as error:  # skl2onnx has a kind for each reason
        why = " ".join(str(error).split())[:200]
        name = type(model).__name__
        raise ValueError(
            f"{name} cannot be exported to ONNX ({why}); it can be evaluated but not saved. Give it a to_onnx(),"
            " or name another classifier"
        ) from None


def refuse_place(folder):
    """Raise if a bundle cannot be written: what is there is no bundle, or holds more, which would be lost.

    Examples
    --------
    >>> from pathlib import Path
    >>> from serlib import bundle
    >>> Path("thesis").mkdir(exist_ok=True)
    >>> _ = Path("thesis", "chapter.txt").write_text("Introduction")
    >>> bundle.refuse_place("thesis")
    Traceback (most recent call last):
        ...
    ValueError: thesis exists and is not a bundle; nothing was written. Name another place with -o
    """
    folder = Path(folder)
    if folder.exists() and not (folder / "bundle.json").is_file():
        raise ValueError(f"{folder} exists and is not a bundle; nothing was written. Name another place with -o")
    ours = {*FILES, *(f"{name}.{suffix}" for name in PICTURES for suffix in ("png", "json"))}
    if others := sorted(file.name for file in folder.glob("*") if file.name not in ours and file.name[0] != "."):
        holds = f"{folder} holds {storage.printable(others[0])!r}, which is no part of a bundle"
        raise ValueError(f"{holds}; nothing was written. Name another place with -o")
    storage.refuse_unwritable(folder)


def write_score(folder, result):
    """Write a score on unseen speakers into a bundle, and its card.

    Parameters
    ----------
    folder : path-like
        The bundle's.
    result : results.Result
        Of ``speakers`` or ``loso``, and of the bundle's own task, recipe and epochs.

    Returns
    -------
    Bundle
        With ``speaker_independent``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no bundle, it is damaged, or the result is not of its task.

    Examples
    --------
    >>> from serlib import bundle, evaluate, index, recipes
    >>> recipe = recipes.get("mfcc-mean+logistic")
    >>> _, _, folder = bundle.train(index.load("emodb"), recipe=recipe, folder="scored")
    >>> result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipe)
    >>> bundle.write_score(folder, result).speaker_independent.n_folds
    6
    """
    from .. import metrics

    bundle, scored, about = read(folder), metrics.summary(result.predictions), result.about
    refuse_other_task(bundle, scored["protocol"], about)
    score = {key: scored[key] for key in UnseenScore.__struct_fields__}
    bundle = msgspec.structs.replace(bundle, speaker_independent=msgspec.convert(score, UnseenScore))
    _write_contract(Path(folder), bundle)
    return bundle


def refuse_other_task(bundle, protocol, about):
    """Raise ValueError unless a score is on unseen speakers, and of the bundle's task, recipe and epochs."""
    if protocol.endswith("-normalised"):
        raise ValueError(
            f"{protocol}: a bundle predicts recordings one by one, not standardised; leave --normalise out"
        )
    if protocol not in ("speakers", "loso"):
        raise ValueError(f"{protocol} does not keep speakers apart; a bundle takes scores of 'speakers' or 'loso' only")
    again = "Train it again, or evaluate the same"
    if bundle.task != about["task"]:
        raise ValueError(
            f"the bundle was trained on another task than the one that is evaluated (task {bundle.task}, not"
            f" {about['task']}): its recordings, emotions or labels differ ({len(bundle.emotions)} emotions of"
            f" {bundle.corpus} in the bundle). {again}"
        )
    theirs = about["settings"]
    kind = {name: value for name, value in theirs["features"].items() if name != "code"}  # of a kind of one's own
    if (bundle.features, bundle.model) != (kind, theirs["model"]) or bundle.epochs != about["epochs"]:
        epochs = [f", {n} epochs" if n else "" for n in (bundle.epochs, about["epochs"])]
        found = f"the bundle is of {bundle.recipe}{epochs[0]}; the evaluation has other settings{epochs[1]}"
        raise ValueError(f"{found}: they must agree. {again}")


def _write_contract(folder, bundle):
    text = json.dumps(msgspec.to_builtins(bundle), indent=1, ensure_ascii=False)
    with storage.replacing(folder / "bundle.json") as new:
        new.write_text(f"{text}\n", encoding="utf-8")
    with storage.replacing(folder / "MODEL_CARD.md") as new:
        new.write_text(card(bundle), encoding="utf-8")


def golden_wav():
    """Return a little synthetic speech as the bytes of a WAV file.

    Examples
    --------
    >>> import io
    >>> from serlib import audio, bundle
    >>> audio.header(io.BytesIO(bundle.golden_wav())).channels
    1
    """
    from .. import synthetic

    return audio.wav_bytes(synthetic.speech("neutral", "golden", gender="female", sr=16000)[:8000], 16000)


def _versions():
    names = ("numpy", "scipy", "scikit-learn", "skl2onnx", "keras", "tensorflow", "soxr", "soundfile", "onnxruntime")
    versions = {"serlib": __version__, "python": platform.python_version()}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
