"""What is done to frames and vectors: average layers over time, standardise by speaker, lay out in a plane."""

import numpy as np

from ..settings import SEED


def pooled(layers, pool):
    """Return layers, shape (n_layers, n_frames, n_dims), averaged over time as one vector: ``mean``, or ``mean+sd``."""
    layers = layers.astype(np.float64)
    parts = [layers.mean(axis=1)] + ([layers.std(axis=1)] if pool == "mean+sd" else [])
    return np.concatenate(parts, axis=1).ravel().astype(np.float32)


def project(X, method, *, seed=SEED):
    """Lay vectors out in a plane, each coefficient standardised first, so that the level does not outshine the others.

    Parameters
    ----------
    X : ndarray of float32, shape (n_utterances, n_mfcc)
    method : str
        ``PCA``: the two directions of greatest variance; distances mean the same everywhere. ``t-SNE``: neighbours
        stay neighbours; distances between groups mean little.
    seed : int

    Returns
    -------
    ndarray of float32, shape (n_utterances, 2)

    Examples
    --------
    >>> from serlib import features, index, recipes
    >>> X = features.extract(index.load("emodb"), features=recipes.get("paper").features)
    >>> features.project(X, "PCA").shape
    (280, 2)
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    methods = {
        "PCA": PCA(2, random_state=seed),
        "t-SNE": TSNE(2, perplexity=min(30, (len(X) - 1) / 3), init="pca", random_state=seed),
    }
    with threadpool_limits(1):  # t-SNE's threads wait for each other: on two processors, one is four times as quick
        return methods[method].fit_transform(StandardScaler().fit_transform(X)).astype(np.float32)


def standardise(X, groups):
    """Give each group's features mean 0 and standard deviation 1, one by one; labels are not used.

    Parameters
    ----------
    X : ndarray of float32, shape (n_utterances, n_features) or (n_utterances, n_frames, n_features)
    groups : sequence of str, shape (n_utterances,)
        Such as speakers.

    Returns
    -------
    ndarray of float32, of the same shape
        What never varies in a group is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import features
    >>> X = np.array([[1.0], [3.0], [10.0], [30.0]], np.float32)
    >>> features.standardise(X, ["anna", "anna", "ben", "ben"]).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    groups, standard, axes = np.asarray(groups, dtype=object), np.empty_like(X), tuple(range(X.ndim - 1))
    for group in dict.fromkeys(groups):
        mine = groups == group
        spread = X[mine].std(axis=axes, dtype=np.float64)
        standard[mine] = (X[mine] - X[mine].mean(axis=axes, dtype=np.float64)) / np.where(spread > 0, spread, 1)
    return standard
