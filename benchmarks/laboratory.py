"""Time what a moved slider of `widgets.explore_mfcc` costs: computing, and rendering the figure that is kept alive.

``SERLIB_PROFILE=full python benchmarks/laboratory.py`` prints the median over its settings, for an utterance of EMODB;
`tests/test_browser.py` prints (with ``pytest -s``) the time from a slider's release to new pixels in a browser.
"""

import itertools
import statistics
import time

from serlib import audio, features, figures, index, recipes, widgets


def main():
    table = index.first_at_hand("emodb")
    first = recipes.get("paper").features
    signal = audio.load(index.root_of(table) / table["path"].iloc[0], first.sr)
    steps, computing, rendering, anew = figures.MfccFigure(), [], [], []
    sizes = itertools.product((256, 512, 1024, 2048), (128, 256, 512, 1024), (32, 128))
    for win_length, hop_length, n_mels in sizes:
        changed = features.MfccMean(
            first.sr, n_fft=win_length, win_length=win_length, hop_length=hop_length, n_mels=n_mels, n_mfcc=30
        )
        started = time.perf_counter()
        made = [
            make(signal, first.sr, features=changed)
            for make in (features.spectrogram_db, features.mel_db, features.mfcc)
        ]
        computed = time.perf_counter()
        steps.show(signal, *made, features=changed)
        widgets.base.png_of(steps.figure)
        shown = time.perf_counter()
        widgets.base.png_of(figures.draw_steps(signal, *made, features=changed))
        computing.append(computed - started)
        rendering.append(shown - computed)
        anew.append(time.perf_counter() - shown)
    for what, seconds in (("computing", computing), ("rendering", rendering), ("a new figure instead", anew)):
        print(f"{what:21} {1000 * statistics.median(seconds):4.0f} ms, at most {1000 * max(seconds):4.0f} ms")


if __name__ == "__main__":
    main()
