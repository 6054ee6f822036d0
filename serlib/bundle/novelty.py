"""What is unlike the recordings that a model was trained on."""

import base64
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

PASSING_SHARE = 0.95  # of unseen speakers' recordings that are not to be called unfamiliar
N_COMPONENTS = 32  # of the novelty detector
MIN_VARIANCE = 1e-3  # of standardised vectors, where training has hardly any
N_GROUPS = 10  # of speakers, each of which is left out once


class NoveltyDetector(msgspec.Struct, frozen=True):
    """What is unlike the training recordings: a Gaussian, and a distance from it that is too far.

    The Gaussian is probabilistic PCA's [1]_: variances along the first principal components of the standardised
    training vectors, and one variance for all other directions. The distance is Mahalanobis's, divided by the square
    root of the number of features, so that about 1 is usual. A sequence is represented by its mean over time.
    ``benchmarks/FAMILIAR.md`` lists what passes and what does not.

    References
    ----------
    .. [1] M. E. Tipping and C. M. Bishop, Probabilistic principal component analysis, JRSS B 61(3), 1999.
    """

    n_features: Annotated[int, Meta(ge=1, le=100_000)]
    variances: tuple[Annotated[float, Meta(gt=0)], ...]
    noise_variance: Annotated[float, Meta(gt=0)]
    threshold: Annotated[float, Meta(ge=0)]
    numbers_base64: str

    @classmethod
    def fit(cls, X, groups):
        """Fit to training rows; no row that the model is scored on may be among them.

        Each group in turn (a speaker, or a corpus of several; of more than `N_GROUPS`, some together) is left out: the
        threshold is the distance within which `PASSING_SHARE` of their recordings lie, each measured from the others'.
        Of a single group, tenths of the recordings are left out instead.

        Parameters
        ----------
        X : ndarray of float32, shape (n_utterances, n_features) or (n_utterances, n_frames, n_features)
        groups : sequence of str, shape (n_utterances,)

        Returns
        -------
        NoveltyDetector
        """
        X = _vectors(X)
        groups = np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1] % N_GROUPS
        if not groups.any():
            groups = np.arange(len(X)) % N_GROUPS
        left_out = [cls._of(X[groups != g]).distance(X[groups == g]) for g in range(groups.max() + 1)]
        threshold = float(np.quantile(np.concatenate(left_out), PASSING_SHARE))
        return msgspec.structs.replace(cls._of(X), threshold=round(threshold, 4))

    @classmethod
    def _of(cls, X):
        from sklearn.decomposition import PCA
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(X)
        n_components = max(0, min(N_COMPONENTS, X.shape[1] - 1, len(X) - 2))
        with np.errstate(invalid="ignore", divide="ignore"):  # of vectors that are all the same
            pca = PCA(max(1, n_components), random_state=0).fit(scaler.transform(X).astype(np.float64))
        noise = max(float(np.nan_to_num(pca.noise_variance_)), MIN_VARIANCE)
        numbers = np.vstack([scaler.mean_, scaler.scale_, pca.components_])
        return cls(
            n_features=X.shape[1],
            variances=tuple(np.maximum(np.nan_to_num(pca.explained_variance_), noise).tolist()),
            noise_variance=noise,
            threshold=0.0,
            numbers_base64=base64.b64encode(numbers.astype("<f4").tobytes()).decode(),
        )

    def _numbers(self):
        numbers = np.frombuffer(base64.b64decode(self.numbers_base64, validate=True), "<f4")
        return numbers.reshape(2 + len(self.variances), self.n_features)

    def check(self, n_features):
        """Raise ValueError if it is damaged, or not about so many features."""
        try:
            is_sound = (
                np.isfinite(self._numbers()).all()
                and np.isfinite([*self.variances, self.noise_variance, self.threshold]).all()
            )
        except ValueError:
            is_sound = False
        if not is_sound or self.n_features != n_features:
            raise ValueError(f"its novelty detector does not hold the numbers for {n_features:,} features")

    def distance(self, X):
        """Return how far features are from the training recordings'.

        Parameters
        ----------
        X : ndarray of float32, shape (n_utterances, n_features) or (n_utterances, n_frames, n_features)

        Returns
        -------
        ndarray of float32, shape (n_utterances,)
        """
        mean, scale, *components = self._numbers()
        Z = (_vectors(X) - mean) / scale
        along = (Z @ np.array(components).T) ** 2
        across = np.maximum((Z**2).sum(axis=1) - along.sum(axis=1), 0) / self.noise_variance
        return np.sqrt(((along / self.variances).sum(axis=1) + across) / self.n_features).astype(np.float32)


def _vectors(X):
    """Return a vector for each utterance: itself, or the mean of a sequence over time."""
    X = np.asarray(X)
    return X if X.ndim == 2 else X.mean(axis=1)
