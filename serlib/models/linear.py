"""`Lda`: scikit-learn's linear discriminant analysis, with class weights."""

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


class Lda(LinearDiscriminantAnalysis):
    """Linear discriminant analysis with a covariance that is shrunk by Ledoit and Wolf's method.

    Parameters
    ----------
    class_weight : ``"balanced"``, optional
        Whether all classes are taken to be equally probable before a recording is heard, however many utterances each
        has in training.
    """

    def __init__(self, *, class_weight=None):
        super().__init__(solver="lsqr", shrinkage="auto")
        self.class_weight = class_weight

    def fit(self, X, y):
        """Fit to training vectors; as scikit-learn's."""
        n_classes = len(np.unique(y))
        self.priors = None if self.class_weight is None else np.full(n_classes, 1 / n_classes)
        return super().fit(X, y)
