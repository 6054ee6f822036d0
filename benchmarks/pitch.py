"""Hold our median pitch against librosa.pyin on utterances of EMODB, for several limits of loudness.

``SERLIB_PROFILE=full python benchmarks/pitch.py`` prints, for each limit, how many semitones lie between the two, and
what an utterance costs by either way. `audio.VOICED_DB` was chosen by it.
"""

import time

import librosa
import numpy as np

from serlib import audio, index, settings

N = 120
LIMITS_DB = (10.0, 15.0, 20.0, 25.0, 30.0, 99.0)


def main():
    table = index.first_at_hand("emodb").sample(N, random_state=settings.SEED)
    signals = [audio.load(index.root_of(table) / path, 16000) for path in table["path"]]
    audio.pitch_hz(signals[0], 16000)  # numba loads
    librosa.pyin(signals[0], sr=16000, fmin=60, fmax=600)
    reference, pyin_s = timed(by_pyin, signals)
    for audio.VOICED_DB in LIMITS_DB:
        ours, yin_s = timed(lambda signal: audio.pitch_hz(signal, 16000), signals)
        semitones = np.abs(12 * np.log2(ours / reference))
        print(
            f"{audio.VOICED_DB:4.0f} dB: median {np.nanmedian(semitones):.2f} semitones, "
            f"{np.nanmean(semitones < 1):.0%} within 1, {np.nanmean(semitones < 2):.0%} within 2; "
            f"{1000 * yin_s / N:.1f} ms an utterance (pyin {1000 * pyin_s / N:.0f} ms)"
        )


def by_pyin(signal):
    signal = audio.resample(signal, 16000, audio.PITCH_HZ["sr"])
    f0, voiced, _ = librosa.pyin(signal, **audio.PITCH_HZ)
    return np.median(f0[voiced]) if voiced.any() else np.nan


def timed(measure, signals):
    started = time.perf_counter()
    return np.array([measure(signal) for signal in signals]), time.perf_counter() - started


if __name__ == "__main__":
    main()
