"""Where a voice's recordings lie on average: what a model for strangers takes away before it answers."""

import base64
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta


class VoiceCentre(msgspec.Struct, frozen=True):
    """The mean vector of the training speakers, and how many sentences of a stranger it counts for.

    A voice and a room move all of a stranger's vectors alike. A few sentences estimate by how much, the fewer the
    worse: their mean is drawn towards that of the training speakers, which counts for `weight` sentences, and then
    taken away from what follows. With none, nothing is taken away.
    """

    n_features: Annotated[int, Meta(ge=1, le=100_000)]
    weight: Annotated[float, Meta(ge=0, le=1000)]
    mean_base64: str

    @classmethod
    def of(cls, X, speakers, *, weight):
        """Return the centre of training vectors in which all speakers count alike.

        Parameters
        ----------
        X : ndarray of float32, shape (n_utterances, n_features)
        speakers : sequence of str, shape (n_utterances,)
        weight : float
            In sentences.
        """
        mean = means_by_speaker(X, speakers).mean(axis=0)
        return cls(X.shape[1], float(weight), base64.b64encode(mean.astype("<f4").tobytes()).decode())

    def mean(self):
        """Return the mean vector of the training speakers: ndarray of float32, shape (n_features,)."""
        return np.frombuffer(base64.b64decode(self.mean_base64, validate=True), "<f4")

    def check(self, n_features):
        """Raise ValueError if it is damaged, or not about so many features."""
        try:
            is_sound = self.mean().shape == (self.n_features,) and np.isfinite(self.mean()).all()
        except ValueError:
            is_sound = False
        if not is_sound or self.n_features != n_features:
            raise ValueError(f"its voice centre does not hold the numbers for {n_features:,} features")

    def shift(self, X):
        """Return what is to be added to a stranger's vectors, once sentences of theirs are known.

        Parameters
        ----------
        X : ndarray of float32, shape (n_sentences, n_features)
            Of those sentences, in any mood; may be empty.

        Returns
        -------
        ndarray of float32, shape (n_features,)
        """
        if not len(X):
            return np.zeros(self.n_features, np.float32)
        return (len(X) / (len(X) + self.weight) * (self.mean() - np.mean(X, axis=0))).astype(np.float32)


def means_by_speaker(X, speakers):
    """Return the mean vector of each speaker, in the order of their names: shape (n_speakers, n_features)."""
    names, rows = np.unique(np.asarray(speakers, dtype=str), return_inverse=True)
    sums = np.zeros((len(names), X.shape[1]))
    np.add.at(sums, rows, X)
    return sums / np.bincount(rows)[:, None]
