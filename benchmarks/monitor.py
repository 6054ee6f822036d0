"""What it costs to watch a training: the same fits with and without the monitor of notebook 05.

``python benchmarks/monitor.py`` fits `paper` on as many made-up vectors as EMODB has utterances, ten times each way, in
turns, and in a kernel of its own, so that what the monitor says is sent as in a notebook. It prints the medians of both
and of the pairs' ratios: by the clock, and by the processor's time, which other programs disturb less.
"""

import statistics
import sys
import time
from pathlib import Path

import nbclient
import numpy as np
import pandas as pd
from nbformat import v4

from serlib import corpora, evaluate, index, recipes, split, widgets

N_PAIRS = 10


def compare():
    """Time both ways in turns, and print what came of it."""
    recipe, passport = recipes.get("paper"), corpora.get("emodb")
    rng, n = np.random.default_rng(0), passport.n_utterances
    names = pd.Series(range(n)).astype(str)
    same = {"corpus": "emodb", "path": "a.wav", "part": "train"}
    same |= {"duration_s": 1, "sample_rate_hz": 16000, "channels": 1}
    table = pd.DataFrame(dict.fromkeys(index.COLUMNS, "") | {"utterance": names, "content": names} | same)
    table["emotion"] = rng.choice(sorted(passport.by_emotion), n)
    table["speaker"] = rng.choice(list(passport.speakers), n)
    table.attrs["synthetic"] = False
    drawn = split.random(table)
    X = (20 * rng.normal(size=(n, recipe.features.n_mfcc))).astype(np.float32)
    ways = {
        "alone": lambda: evaluate.fit_fold(drawn, X, recipe=recipe),
        "watched": lambda: widgets.watch_training(drawn, X, recipe=recipe).result(),
    }
    clocks = {"clock": time.perf_counter, "processor": time.process_time}
    took = {(clock, way): [] for clock in clocks for way in ways}
    for turn in range(N_PAIRS + 1):
        for way, fit in ways.items():
            started = {clock: now() for clock, now in clocks.items()}
            fit()
            for clock, now in clocks.items():
                took[clock, way] += [now() - started[clock]] if turn else []  # the first one warms up
    print(f"{N_PAIRS} pairs, {recipe.model.epochs} epochs each")
    for clock in clocks:
        alone, watched = took[clock, "alone"], took[clock, "watched"]
        ratio = statistics.median(w / a for w, a in zip(watched, alone, strict=True))
        medians = f"alone {statistics.median(alone):.2f} s, watched {statistics.median(watched):.2f} s"
        print(f"{clock}: {medians}, ratio {ratio:.3f}")


def main():
    """Run the comparison in a kernel, and pass on what it prints."""
    cell = v4.new_code_cell("import monitor\nmonitor.compare()")
    resources = {"metadata": {"path": str(Path(__file__).parent)}}
    nbclient.NotebookClient(v4.new_notebook(cells=[cell]), timeout=3600, resources=resources).execute()
    print("".join(output["text"] for output in cell.outputs))


if __name__ == "__main__":
    sys.exit(main())
