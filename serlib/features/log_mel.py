"""Log-mel spectrograms of fixed length: what a network sees that finds its own features."""

from typing import Annotated, ClassVar

import numpy as np
from msgspec import Meta

from .mfcc import Spectral, Whole, mel_db


class LogMel(Spectral, frozen=True, tag="log-mel"):
    """Mel bands in dB over time, cut or padded to ``n_frames``. Settings as in `Spectral`.

    A longer utterance is cut to its middle; a shorter one is padded at its end with the lowest value it could have
    (``top_db`` below the loudest). Values are dB relative to the loudest of the utterance, so that the level is lost.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import features
    >>> features.LogMel(n_frames=100).transform(np.zeros(48000, np.float32)).shape
    (100, 64)
    """

    about: ClassVar[str] = "log-mel spectrogram, 300 frames of 64 bands (3 s)"
    cost: ClassVar[str] = "2 ms an utterance"
    sr: Annotated[int, Meta(ge=1, le=96_000)] = 16000
    win_length: Whole = 400
    n_fft: Whole = 512
    hop_length: Whole = 160
    n_mels: Annotated[int, Meta(ge=1, le=512)] = 64
    n_frames: Annotated[int, Meta(ge=1, le=3000)] = 300

    @property
    def shape(self):
        return (self.n_frames, self.n_mels)

    def transform(self, signal):
        bands_db = mel_db(signal, self.sr, features=self).T
        start = max(0, (len(bands_db) - self.n_frames) // 2)
        kept = bands_db[start : start + self.n_frames] - bands_db.max()
        return np.pad(kept, ((0, self.n_frames - len(kept)), (0, 0)), constant_values=-self.top_db)
