"""`Features`: what decides the numbers that a signal becomes; `KINDS` of a bundle; `NAMED` ones."""

import hashlib
import inspect
import typing
from typing import ClassVar

import msgspec
import numpy as np

KINDS = {}
NAMED = {}


class Features(msgspec.Struct, frozen=True, tag_field="kind", tag="features"):
    """How a signal becomes an array of fixed shape. A kind of features is a subclass.

    Its fields are all that decides the numbers: what identifies it in the cache, in results and in bundles. ``sr`` (Hz)
    is the rate that `transform` expects, ``shape`` the shape of what it returns, and the tag (``tag=``) its name. A
    kind that is to be saved in bundles is registered: ``KINDS["my-kind"] = MyKind``.

    Attributes
    ----------
    about, cost, licence : str
        For the list that ``python -m serlib recipes`` prints.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import features
    >>> class Loudness(features.Features, frozen=True, tag="loudness"):
    ...     sr: int = 16000
    ...     shape = (1,)
    ...     def transform(self, signal):
    ...         return np.array([np.std(signal)])
    >>> features.apply(Loudness(), np.zeros(16000, np.float32))
    array([0.], dtype=float32)
    """

    about: ClassVar[str] = ""
    cost: ClassVar[str] = ""
    licence: ClassVar[str] = "MIT"

    def __post_init__(self):
        for name, kind in typing.get_type_hints(type(self), include_extras=True).items():
            if typing.get_origin(kind) is ClassVar:
                continue
            try:
                msgspec.convert(getattr(self, name), kind)
            except msgspec.ValidationError as error:
                raise ValueError(f"{name} is {getattr(self, name)!r}: {str(error).lower()}") from None

    def load(self):
        """Load what `transform` needs besides the signal, such as weights; here, nothing.

        Raises
        ------
        FileNotFoundError
            If it is not there; the message says how to get it.
        """

    def transform(self, signal):
        """Return the features of a signal.

        Parameters
        ----------
        signal : ndarray of float32, shape (n_samples,)
            Mono, in [-1, 1], at ``sr``.

        Returns
        -------
        ndarray of float32, of ``shape``
        """
        raise NotImplementedError(f"{type(self).__name__} has no transform(signal); expected one. Write it")

    @property
    def name(self):
        """The name of the kind, such as ``mfcc-mean``."""
        return self.__struct_config__.tag


def to_dict(features):
    """Return features as a dict that JSON can carry; the key ``kind`` holds the name of the kind.

    Examples
    --------
    >>> from serlib import features
    >>> fields = features.to_dict(features.get("log-mel"))
    >>> fields["kind"], fields["n_mels"]
    ('log-mel', 64)
    """
    return msgspec.to_builtins(features)


def from_dict(fields):
    """Return the features that `to_dict` wrote.

    Raises
    ------
    ValueError
        If the kind is not in `KINDS`, or a field is unknown or out of range.

    Examples
    --------
    >>> from serlib import features
    >>> features.from_dict({"kind": "mfcc-mean", "n_mfcc": 20}).shape
    (20,)
    """
    kind = KINDS.get(fields.get("kind")) if isinstance(fields, dict) else None
    if kind is None:
        found = fields.get("kind") if isinstance(fields, dict) else fields
        raise ValueError(f"features of the kind {found!r} are unknown; expected one of {', '.join(KINDS)}")
    try:
        features = msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise ValueError(f"features {fields['kind']}: {str(error).lower()}") from None
    if unknown := sorted(set(fields) - set(to_dict(features))):
        raise ValueError(
            f"features {features.name} have no setting {unknown[0]!r}; expected {', '.join(to_dict(features))}"
        )
    return features


def apply(features, signal):
    """Return ``features.transform(signal)``, checked.

    Raises
    ------
    ValueError
        If the shape is not ``features.shape``, or a number is not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import features
    >>> features.apply(features.get("mfcc-mean"), np.zeros(22050, np.float32)).shape
    (50,)
    """
    array = np.asarray(features.transform(signal), np.float32)
    if array.shape != tuple(features.shape):
        raise ValueError(f"features {features.name} returned shape {array.shape}; expected {tuple(features.shape)}")
    if not np.isfinite(array).all():
        raise ValueError(f"features {features.name} returned numbers that are not finite; the signal is out of range")
    return array


def identity(features):
    """Return what identifies features in the cache: the fields, the weights, and for a kind of your own its code.

    Examples
    --------
    >>> from serlib import features
    >>> mfcc = features.get("mfcc-mean")
    >>> features.identity(mfcc) == features.to_dict(mfcc)
    True
    """
    fields = to_dict(features)
    if hasattr(features, "weights_sha256"):
        fields["weights_sha256"] = features.weights_sha256
    return fields | code_of(type(features))


def code_of(kind):
    """Return ``{"code": hash}`` of the code of a class of the user's own, and ``{}`` of serlib's and scikit-learn's."""
    if kind.__module__.split(".")[0] in ("serlib", "sklearn"):
        return {}
    try:
        code = inspect.getsource(kind)
    except OSError:  # typed into a prompt
        compiled = [getattr(function, "__code__", None) for function in vars(kind).values()]
        code = repr([(one.co_code, one.co_consts, one.co_names) for one in compiled if one])
    return {"code": hashlib.sha256(code.encode()).hexdigest()}
