"""Time extraction in cold processes, as somebody at a terminal waits for it, in threads and processes: THREADS.md.

``python benchmarks/threads.py emodb ravdess crema-d`` needs these corpora under ``SERLIB_DATA``.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

from serlib import corpora, storage
from serlib.features import extraction

PAGE = Path(__file__).parent / "THREADS.md"
N = 3  # processes of each kind; medians are given
WAYS = {"one thread": (1, 10**9), "two threads": (2, 10**9), "two processes": (2, 0)}
EXTRACT = """
import os, sys, tempfile, time
os.environ["SERLIB_CACHE"] = tempfile.mkdtemp()
from serlib import index, recipes
from serlib.features import extract, extraction
corpus, n_jobs, extraction.PROCESSES_PAY = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
table = index.load(corpus)
start = time.perf_counter()
extract(table, features=recipes.get("paper").features, n_jobs=n_jobs)
print(time.perf_counter() - start)
"""


def main(names):
    """Time every way for every corpus, in turn, and write the page."""
    lines = [
        "# Threads or processes",
        "",
        f"Made by `python benchmarks/threads.py {' '.join(names)}`: features of `paper`, hashing included, in a",
        f"process that has just started and whose workers have not; medians of {N}, in seconds;"
        f" {os.cpu_count()} processors.",
        "",
        f"| corpus | files | {' | '.join(WAYS)} |",
        f"|---|---|{'---|' * len(WAYS)}",
    ]
    for name in names:
        rounds = [{way: seconds(name, *how) for way, how in WAYS.items()} for _ in range(N)]
        medians = [statistics.median(one[way] for one in rounds) for way in WAYS]
        passport = corpora.get(name)
        cells = [corpora.short_title(name), f"{passport.n_utterances:,}", *(f"{median:.2f}" for median in medians)]
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    lines += [
        "",
        f"Processes are started for {extraction.PROCESSES_PAY:,} recordings or more, threads for fewer. Once they have",
        "started, processes are the faster ones (`RESULTS.md`, *What remains*); their start is what has to pay.",
    ]
    with storage.replacing(PAGE) as new:
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")


def seconds(name, n_jobs, processes_pay):
    """Return how long extraction takes in a process of its own."""
    command = [sys.executable, "-c", EXTRACT, name, str(n_jobs), str(processes_pay)]
    full = os.environ | {"SERLIB_PROFILE": "full"}
    return float(subprocess.run(command, env=full, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
