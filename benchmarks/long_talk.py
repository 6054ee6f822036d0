"""Hear an hour window by window in cold processes, with both models that come with the package: LONG_TALK.md.

``SERLIB_PROFILE=full python benchmarks/long_talk.py`` needs EMODB and the weights of whisper-base.
The hour is EMODB's sentences, drawn at random, with pauses of up to two seconds between them.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from serlib import audio, index, settings, storage

PAGE = Path(__file__).parent / "LONG_TALK.md"
SR, LENGTHS_MIN = 16000, (5, 60)
HEAR = r"""
import re, sys
from pathlib import Path
from serlib.cli import main
sys.argv = ["serlib", "predict", sys.argv[2], "-m", sys.argv[1], "--windows", "-o", sys.argv[3]]
try:
    main()
finally:
    print(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])
"""


def main():
    """Hear both lengths with both models, and write the page."""
    lines = ["# An hour, window by window", "", f"Made by `long_talk.py`, which says how; {os.cpu_count()} processors."]
    lines += [
        "",
        "| model | minutes | windows | seconds | times real time | memory at most, MB |",
        "|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for minutes in LENGTHS_MIN:
            audio.write(Path(folder) / f"{minutes}.wav", talk(60 * minutes), SR)
        for model in ("emodb-paper", "strangers"):
            for minutes in LENGTHS_MIN:
                wav, table, started = Path(folder) / f"{minutes}.wav", Path(folder) / "t.csv", time.perf_counter()
                command = [sys.executable, "-c", HEAR, model, str(wav), str(table)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                seconds, megabytes = time.perf_counter() - started, int(done.stdout.splitlines()[-1]) / 1024
                n_windows = len(table.read_text().splitlines()) - 1
                cells = [model, minutes, f"{n_windows:,}", f"{seconds:.1f}", f"{60 * minutes / seconds:.0f}"]
                lines.append(f"| {' | '.join(map(str, [*cells, f'{megabytes:.0f}']))} |")
                print(lines[-1], flush=True)
    with storage.replacing(PAGE) as new:
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")


def talk(seconds):
    """Return a talk: ndarray of float32, shape (seconds * SR,)."""
    table, rng, said, n = index.load("emodb"), np.random.default_rng(settings.SEED), [], 0
    signals = [audio.load(index.root_of(table) / path, SR) for path in table["path"]]
    while n < seconds * SR:
        said += [signals[rng.integers(len(signals))], np.zeros(rng.integers(2 * SR), np.float32)]
        n += len(said[-2]) + len(said[-1])
    return np.concatenate(said)[: seconds * SR]


if __name__ == "__main__":
    main()
