"""Whether a voice comes from close by: how features change across a room, learned from simulated rooms."""

import base64
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta


class DistanceDetector(msgspec.Struct, frozen=True):
    """A linear classifier of features: said close to the microphone, or far off or in noise."""

    n_features: Annotated[int, Meta(ge=1, le=100_000)]
    bias: float
    weights_base64: str

    @classmethod
    def fit(cls, near, far, *, strength=1e-3):
        """Learn from features of the same recordings, near and far.

        Parameters
        ----------
        near, far : ndarray of float32, shape (n_utterances, n_features)
        strength : float
            Logistic regression's C, on standardised features.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        X, is_far = np.concatenate([near, far]), np.repeat([False, True], [len(near), len(far)])
        scaler = StandardScaler().fit(X)
        model = LogisticRegression(C=strength, max_iter=1000).fit(scaler.transform(X), is_far)
        weights = (model.coef_[0] / scaler.scale_).astype("<f4")
        return cls(X.shape[1], float(model.intercept_[0] - weights @ scaler.mean_), base64.b64encode(weights).decode())

    def _weights(self):
        return np.frombuffer(base64.b64decode(self.weights_base64, validate=True), "<f4")

    def check(self, n_features):
        """Raise ValueError if it is damaged, or not about so many features."""
        try:
            is_sound = self._weights().shape == (self.n_features,) and np.isfinite([*self._weights(), self.bias]).all()
        except ValueError:
            is_sound = False
        if not is_sound or self.n_features != n_features:
            raise ValueError(f"its distance detector does not hold the numbers for {n_features:,} features")

    def is_far(self, X):
        """Return which recordings come from far off: ndarray of bool, shape (n_utterances,)."""
        return X @ self._weights() + self.bias > 0
