"""Features and a classifier, under a name."""

import hashlib
import json
import re
from dataclasses import dataclass

import numpy as np

from . import features, models

VALIDATION_ROWS = ("train", "test")


@dataclass(frozen=True)
class Recipe:
    """All that turns recordings into a model.

    Attributes
    ----------
    name : str
    features : features.Features
    model : estimator
        A classifier as scikit-learn's: ``fit``, ``predict_proba``, ``classes_``. It is cloned, never fitted itself.
    validation : str
        Which rows the validation curve is drawn from, where there is one: a tenth of ``train``, or ``test``; nothing is
        selected by it.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from serlib import features, recipes
    >>> recipe = recipes.Recipe("my-bayes", features.MfccMean(n_mfcc=20), GaussianNB())
    >>> recipe.features.shape
    (20,)
    """

    name: str
    features: features.Features
    model: object
    validation: str = "train"

    def __post_init__(self):
        if not isinstance(self.features, features.Features):
            raise TypeError(f"recipe {self.name}: features are {self.features!r}; expected a kind of serlib.features")
        for name in ("fit", "predict_proba", "get_params"):
            if not hasattr(self.model, name):
                raise TypeError(
                    f"recipe {self.name}: {models.class_name(self.model)} has no {name}; expected a classifier as"
                    " scikit-learn's, with fit, predict_proba and get_params"
                )
        if self.validation not in VALIDATION_ROWS:
            raise ValueError(f"recipe {self.name}: validation is {self.validation!r}; expected 'train' or 'test'")
        n_dims = getattr(self.model, "n_dims", 1)
        if n_dims != len(self.features.shape):
            shape, kind = tuple(self.features.shape), "vectors" if n_dims == 1 else "sequences (n_frames, n_features)"
            raise ValueError(
                f"recipe {self.name}: features {self.features.name} have shape {shape}, and"
                f" {models.class_name(self.model)} takes {kind}; see 'python -m serlib recipes' for what fits"
            )

    def settings(self):
        """Return what identifies the recipe in results: the features' fields and the classifier's parameters.

        Returns
        -------
        dict
            That JSON can carry; without ``random_state``, which a result holds as its seed.

        Examples
        --------
        >>> from serlib import recipes
        >>> settings = recipes.get("mfcc-mean+logistic").settings()
        >>> list(settings), settings["features"]["n_mfcc"]
        (['features', 'model', 'validation'], 50)
        """
        return json.loads(
            json.dumps(
                {
                    "features": features.identity(self.features),
                    "model": {
                        "class": type(self.model).__name__,
                        **features.code_of(type(self.model)),
                        **_parameters(self.model),
                    },
                    "validation": self.validation,
                }
            )
        )

    def fingerprint(self):
        """Return a hash of `settings`.

        Examples
        --------
        >>> from serlib import recipes
        >>> recipes.get("paper").fingerprint() == recipes.get("original-2021").fingerprint()
        False
        """
        return hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode()).hexdigest()[:16]


def _parameters(model):
    """Return an estimator's parameters but for ``random_state``; those of the estimators that it holds, too."""
    parameters = {name: value for name, value in model.get_params().items() if not name.endswith("random_state")}
    return {name: _plain(value) for name, value in sorted(parameters.items())}


def _plain(value):
    """Return a parameter as JSON can carry it; of an estimator, or several, the type: their parameters stand beside."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    plain = (str, int, float, bool, type(None))
    is_plain = isinstance(value, plain) or (
        isinstance(value, (tuple, list)) and all(isinstance(v, plain) for v in value)
    )
    return value if is_plain else getattr(value, "__qualname__", type(value).__name__)


# `paper` is what the original project's README describes, `original-2021` what its code does. `paper-levelled` is
# `paper` without what tells corpora apart most easily: the silence around the speech, and its level, which is set to
# the usual one of telephone speech (ITU-T P.56).
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("paper", features.MfccMean(), models.Cnn1d()),
        Recipe(
            "original-2021",
            features.MfccMean(win_length=2048, n_fft=2048, hop_length=552),
            models.Cnn1d(pool_padding="valid", dropout=0.0, loss="binary_crossentropy", shuffle=False),
            validation="test",
        ),
        Recipe("paper-levelled", features.MfccMean(trim_db=40.0, level_db=-26.0), models.Cnn1d()),
    )
}
ABOUT = {
    "whisper+logistic": "the best here on people never heard: two layers of a speech recogniser, a linear classifier",
    "paper": "mfcc-mean + cnn: what the original project's README describes",
    "original-2021": "what the original project's code does: other windows, loss and batches; no dropout",
    "paper-levelled": "paper, without the silence around the speech and the level of the recording",
}


def get(name, *, balanced=False):
    """Return the recipe called `name`: one of `RECIPES`, or any ``features+classifier``.

    Parameters
    ----------
    name : str
        Such as ``paper`` or ``mfcc-functionals+svm``; ``python -m serlib recipes`` lists features and classifiers.
        ``table:FILE+svm`` takes the features from a table.
    balanced : bool
        Whether each emotion weighs the same in training, however many utterances it has.

    Returns
    -------
    Recipe

    Raises
    ------
    ValueError
        If there is none, or the two do not fit.

    Examples
    --------
    >>> get("mfcc-functionals+svm").features.shape
    (287,)
    """
    kind, plus, classifier = str(name).rpartition("+")
    if name in RECIPES:
        recipe = RECIPES[name]
    elif plus:
        chosen = features.get(kind)
        name = re.sub(r"[^\w.+-]", "-", name)  # it names folders, too
        recipe = Recipe(name, chosen, models.get(classifier))
    else:
        pairs = f"or features+classifier ({', '.join(features.NAMED)} + {', '.join(models.NAMES)})"
        raise ValueError(f"recipe {name!r} is unknown; use one of {', '.join(RECIPES)}, {pairs}")
    if not balanced:
        return recipe
    return Recipe(f"{name}-balanced", recipe.features, models.balanced(recipe.model), recipe.validation)
