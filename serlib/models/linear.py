"""`Lda`: scikit-learn's linear discriminant analysis, with class weights, for vectors of any length."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


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
