"""Classifiers: any of scikit-learn's kind; two networks of our own; and the ones that have a name.

A classifier is an estimator with ``fit``, ``predict_proba`` and ``classes_``. One that learns in epochs takes
``fit(X, y, validation=None, on_epoch=None)`` and leaves its learning curves in ``history_``.
"""

from dataclasses import dataclass

from sklearn.base import clone

from .attention_cnn import AttentionCnn
from .cnn1d import Cnn1d
from .files import load_network, run_litert, to_litert
from .linear import Lda, Svm
from .network import HISTORY_COLUMNS, NetworkClassifier

__all__ = [
    "HISTORY_COLUMNS",
    "NAMES",
    "AttentionCnn",
    "Cnn1d",
    "Lda",
    "NamedClassifier",
    "NetworkClassifier",
    "Svm",
    "balanced",
    "get",
    "has_epochs",
    "load_network",
    "run_litert",
    "seeded",
    "to_litert",
    "with_epochs",
]


@dataclass(frozen=True)
class NamedClassifier:
    """What ``python -m serlib recipes`` says of a classifier: what it is, what it costs, under which licence.

    Examples
    --------
    >>> from serlib import models
    >>> models.NAMES["forest"].about
    'random forest of 200 trees'
    """

    about: str
    cost: str
    licence: str


_SKLEARN, _OWN = "BSD-3-Clause (scikit-learn)", "MIT"
NAMES = {
    "logistic": NamedClassifier("logistic regression of standardised vectors, C 0.01", "seconds", _SKLEARN),
    "lda": NamedClassifier("linear discriminants, covariance shrunk by Ledoit and Wolf", "seconds", _SKLEARN),
    "svm": NamedClassifier("linear support vectors of standardised vectors, C 0.01, calibrated", "seconds", _SKLEARN),
    "forest": NamedClassifier("random forest of 200 trees", "seconds", _SKLEARN),
    "cnn": NamedClassifier("the original project's 1-D CNN, 500 epochs", "seconds to minutes", _OWN),
    "attention-cnn": NamedClassifier("2-D CNN with attentive pooling over time, for log-mel", "minutes to hours", _OWN),
}


def get(name):
    """Return the classifier called `name`, not fitted.

    Raises
    ------
    ValueError
        If there is none.

    Examples
    --------
    >>> get("cnn").epochs
    500
    """
    if name not in NAMES:
        raise ValueError(f"classifier {name!r} is unknown; use one of {', '.join(NAMES)}")
    if name == "cnn":
        return Cnn1d()
    if name == "attention-cnn":
        return AttentionCnn()
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if name == "forest":
        return RandomForestClassifier(200)
    made = {
        "logistic": lambda: LogisticRegression(C=0.01, max_iter=2000),
        "lda": Lda,
        "svm": Svm,
    }
    return make_pipeline(StandardScaler(), made[name]())


def has_epochs(model):
    """Return whether a classifier learns in epochs, and so has learning curves.

    Examples
    --------
    >>> from serlib import models
    >>> models.has_epochs(models.get("cnn")), models.has_epochs(models.get("svm"))
    (True, False)
    """
    return "epochs" in model.get_params()


def with_epochs(model, epochs):
    """Return a copy that learns for so many epochs.

    Raises
    ------
    ValueError
        If it learns in none.

    Examples
    --------
    >>> from serlib import models
    >>> models.with_epochs(models.get("cnn"), 20).epochs
    20
    """
    if not has_epochs(model):
        raise ValueError(f"{class_name(model)} does not learn in epochs; leave their number out")
    return clone(model).set_params(epochs=epochs)


def seeded(model, seed):
    """Return a copy, not fitted, whose random choices are drawn from a seed.

    Examples
    --------
    >>> from serlib import models
    >>> models.seeded(models.get("forest"), 1).random_state
    1
    """
    copy = clone(model)
    names = [name for name in copy.get_params() if name == "random_state" or name.endswith("__random_state")]
    return copy.set_params(**dict.fromkeys(names, seed))


def class_name(model):
    """Return what a classifier is: its class's name, of a pipeline that of its last step."""
    return type(model[-1] if hasattr(model, "steps") else model).__name__


def balanced(model):
    """Return a copy that weighs each class by the inverse of its frequency in training (``class_weight``).

    Raises
    ------
    ValueError
        If it cannot.

    Examples
    --------
    >>> from serlib import models
    >>> models.balanced(models.get("forest")).class_weight
    'balanced'
    """
    names = [name for name in model.get_params() if name == "class_weight" or name.endswith("__class_weight")]
    if not names:
        raise ValueError(f"{class_name(model)} has no class_weight; expected a classifier that has. Name another")
    return clone(model).set_params(**dict.fromkeys(names, "balanced"))
