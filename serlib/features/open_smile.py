"""The field's standard functionals, computed by openSMILE: its licence allows research and personal use only."""

import functools
import sys
import warnings
from typing import ClassVar

from .base import Features

LICENCE = "openSMILE: research and personal use only (audEERING)"


class _Functionals(Features, frozen=True):
    licence: ClassVar[str] = LICENCE
    cost: ClassVar[str] = "25 ms an utterance; needs the extra [opensmile]"
    sr: ClassVar[int] = 16000
    feature_set: ClassVar[str]

    def load(self):
        _smile(self.feature_set)

    def transform(self, signal):
        return _smile(self.feature_set).process_signal(signal, self.sr).to_numpy()[0]


class Egemaps(_Functionals, frozen=True, tag="egemaps"):
    """The 88 functionals of eGeMAPSv02 [1]_.

    References
    ----------
    .. [1] F. Eyben et al., The Geneva minimalistic acoustic parameter set (GeMAPS) for voice research and affective
       computing, IEEE Transactions on Affective Computing 7 (2), 2016.
    """

    about: ClassVar[str] = "eGeMAPSv02: 88 functionals of pitch, level, formants and spectrum"
    shape: ClassVar[tuple] = (88,)
    feature_set: ClassVar[str] = "eGeMAPSv02"


class Compare(_Functionals, frozen=True, tag="compare"):
    """The 6,373 functionals of ComParE 2016 [1]_.

    References
    ----------
    .. [1] B. Schuller et al., The INTERSPEECH 2016 computational paralinguistics challenge, Interspeech 2016.
    """

    about: ClassVar[str] = "ComParE 2016: 6,373 functionals"
    shape: ClassVar[tuple] = (6373,)
    feature_set: ClassVar[str] = "ComParE_2016"


@functools.cache
def _smile(feature_set):
    if "tensorflow" in sys.modules and "opensmile" not in sys.modules:
        raise ValueError(
            "openSMILE would crash, because TensorFlow is loaded already and its libraries clash with openSMILE's; in a"
            " new process, call features.get('egemaps').load() before anything else"
        )
    try:
        import opensmile
    except ImportError:
        raise FileNotFoundError(
            f"openSMILE is not installed, which computes {feature_set} (licence: research and personal use only);"
            " install it with: pip install 'serlib[opensmile]'"
        ) from None
    warnings.warn(f"{feature_set} is computed by openSMILE, licensed for research and personal use only", stacklevel=2)
    return opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)
