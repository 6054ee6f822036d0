"""Measure what recipes cost: extraction of EMODB and the training of one fold, each in a cold process.

``python benchmarks/costs.py RECIPE ...`` needs EMODB under ``SERLIB_DATA``; it writes its rows into results/costs.csv,
beside those of other recipes, and prints them.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from serlib import storage

FILE = Path(__file__).parents[1] / "results" / "costs.csv"
JOB = """
import os, sys, time
os.environ["SERLIB_CACHE"] = sys.argv[2]
from serlib import evaluate, features, index, recipes, split
recipe, table = recipes.get(sys.argv[1]), index.load("emodb")
began = time.perf_counter()
X = features.extract(split.speakers(table).table, features=recipe.features)
extracted = time.perf_counter()
evaluate.fit_fold(split.speakers(table), X, 0, recipe=recipe)
print(extracted - began, time.perf_counter() - extracted)
"""


def main():
    os.environ["SERLIB_PROFILE"] = "full"
    rows = []
    for recipe in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            job = [sys.executable, "-c", JOB, recipe, folder]
            done = subprocess.run(job, capture_output=True, text=True, check=True)
        extract_s, train_s = map(float, done.stdout.split())
        rows.append((recipe, round(extract_s, 1), round(train_s, 1)))
        print(*rows[-1], flush=True)
    table = pd.DataFrame(rows, columns=["recipe", "extract_s", "train_s"])
    if FILE.is_file():
        table = pd.concat([pd.read_csv(FILE), table]).drop_duplicates("recipe", keep="last")
    with storage.replacing(FILE) as new:
        table.sort_values("recipe").to_csv(new, index=False)


if __name__ == "__main__":
    main()
