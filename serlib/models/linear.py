"""`Lda`: linear discriminants for vectors of any length. `Svm`: linear support vectors, with probabilities."""

from collections import Counter

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_predict
from sklearn.svm import LinearSVC


class Lda(LinearDiscriminantAnalysis):
    """Linear discriminant analysis with a covariance that is shrunk by Ledoit and Wolf's method.

    Parameters
    ----------
    n_principal : int
        Longer vectors are projected onto so many principal components first (fewer where there are fewer utterances).
        The projection becomes part of the coefficients.
    class_weight : ``"balanced"``, optional
        Whether all classes are taken to be equally probable before a recording is heard, however many utterances each
        has in training.
    """

    def __init__(self, *, n_principal=300, class_weight=None):
        super().__init__(solver="lsqr", shrinkage="auto")
        self.n_principal = n_principal
        self.class_weight = class_weight

    def fit(self, X, y):
        """Fit to training vectors; as scikit-learn's."""
        n_classes = len(np.unique(y))
        self.priors = None if self.class_weight is None else np.full(n_classes, 1 / n_classes)
        if X.shape[1] <= self.n_principal:
            return super().fit(X, y)
        axes = PCA(min(self.n_principal, len(X) - 1), random_state=0).fit(X)
        super().fit(axes.transform(X), y)
        self.coef_ = self.coef_ @ axes.components_
        self.intercept_ = self.intercept_ - self.coef_ @ axes.mean_
        self.n_features_in_ = X.shape[1]
        return self


class Svm(LogisticRegression):
    """Linear support vectors, one emotion against the others; the softmax of their scaled decisions is the probability.

    The scale (the inverse of a temperature [1]_) is fitted to what was left out in cross-validation. Unlike a sigmoid
    for each class, it leaves the decisions, and with them the class weights, as they are.

    Parameters
    ----------
    C : float
        The inverse of the regularisation's strength.
    class_weight : dict or ``"balanced"``, optional
    random_state : int, optional

    References
    ----------
    .. [1] C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, On calibration of modern neural networks, ICML 2017.
    """

    def __init__(self, *, C=0.01, class_weight=None, random_state=None):
        super().__init__(C=C, class_weight=class_weight, random_state=random_state)

    def fit(self, X, y):
        """Fit to training vectors; as scikit-learn's."""
        machine = LinearSVC(C=self.C, class_weight=self.class_weight, max_iter=5000, random_state=self.random_state)
        rarest, scale = min(Counter(y).values()), 1.0
        if rarest > 1:
            decisions = cross_val_predict(machine, X, y, cv=min(5, rarest), method="decision_function")
            if decisions.ndim == 1:
                decisions = np.stack([-decisions / 2, decisions / 2], axis=1)

            def loss(log_scale):
                return log_loss(y, softmax(np.exp(log_scale) * decisions, axis=1))

            scale = np.exp(minimize_scalar(loss, bounds=(-3, 6), method="bounded").x)
        machine.fit(X, y)
        self.classes_, self.n_features_in_ = machine.classes_, X.shape[1]
        self.coef_, self.intercept_ = scale * machine.coef_, scale * machine.intercept_
        return self
