"""What `bench.py` measures in fresh processes: many files, many names, one training.

usage: python benchmarks/growth.py files FOLDER N     index and extract N links to EMODB's recordings: a JSON document
       python benchmarks/growth.py names FOLDER N     parse and split N names without files: a JSON document
       python benchmarks/growth.py train FOLDER       the seconds of one training on EMODB
"""

import itertools
import json
import os
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ["SERLIB_PROFILE"] = "full"

import numpy as np
import pandas as pd
from joblib.externals.loky import get_reusable_executor

from serlib import corpora, features, index, models, recipes, settings, split

SIZES = (500, 5_000, 50_000)
N_NAMES = 1_000_000
PAPER = recipes.get("paper")
PASSPORT = """
id = "grown"
title = "EMODB's recordings under many names"

[names]
pattern = "(?P<speaker>[0-9]{2,4})-(?P<sentence>[0-9]+)(?P<emotion>[WLEAFTN])-(?P<take>[0-9]+)"

[emotions]
W = "anger"
L = "boredom"
E = "disgust"
A = "fear"
F = "happiness"
T = "sadness"
N = "neutral"
"""


def linked(source, n, folder):
    """Fill a folder with n links to EMODB's recordings, and a passport that knows their names."""
    folder.mkdir()
    (folder / "passport.toml").write_text(PASSPORT, encoding="utf-8")
    files = sorted(Path(source).resolve().rglob("*.wav"))
    for number, file in zip(range(n), itertools.cycle(files)):
        name = f"{file.stem[:2]}-{number // len(files)}{file.stem[5]}-{number % len(files)}.wav"
        (folder / name).symlink_to(file)
    return folder


def vectors(chunk):
    """Return {name: vector} of some recordings, whether or not their contents are alike."""
    return {name: features.from_file(file, features=PAPER.features) for name, file in chunk}


def grow(source, n):
    """Extract the features of n links, and see the memory that it took; then index them."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["SERLIB_CACHE"] = str(Path(place) / "cache")
        folder = linked(source, n, Path(place) / "grown")
        items = [(path.name, path) for path in folder.glob("*.wav")]
        X = np.empty((n, PAPER.features.n_mfcc), np.float32)
        start, done = time.perf_counter(), 0
        for fresh in features.in_chunks(vectors, items):
            X[done : done + len(fresh)] = list(fresh.values())
            done += len(fresh)
        features_s = time.perf_counter() - start
        get_reusable_executor().shutdown()  # the workers' memory is known when they have ended
        status = Path("/proc/self/status").read_text()  # Linux: getrusage would tell what the parent once had, too
        memory_mb = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
        worker_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        start = time.perf_counter()
        table = index.scan(folder, keep_flagged=True)
        index_s = time.perf_counter() - start
        assert len(table) == done == n
    return {"n": n, "index_s": index_s, "features_s": features_s, "memory_mb": memory_mb, "worker_mb": worker_mb}


def names(n):
    """Parse n names of files that do not exist, and split them."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "passport.toml").write_text(PASSPORT, encoding="utf-8")
        passport = corpora.own(place)
    codes = list(passport.codes)
    spelt = [f"{k % 500:03}-{k // 3500}{codes[k // 500 % 7]}-{k}.wav" for k in range(n)]
    start = time.perf_counter()
    parsed = [passport.parse(name) for name in spelt]
    table = pd.DataFrame(
        {
            "utterance": [one.stem for one in parsed],
            "corpus": passport.id,
            "speaker": [one.speaker for one in parsed],
            "gender": "",
            "emotion": [one.emotion for one in parsed],
            "content": spelt,
            "part": "train",
        }
    )
    table = table.assign(path=spelt, sentence="", take="", intensity="", flags="")
    table = table.assign(duration_s=1.0, sample_rate_hz=16000, channels=1)
    parsed_s = time.perf_counter() - start
    start = time.perf_counter()
    sizes = [len(made.table) for made in (split.speakers(table), split.random(table, n_folds=5), split.random(table))]
    assert sizes == [n] * 3
    return {"n": n, "parse_s": parsed_s, "split_s": time.perf_counter() - start}


def train(source):
    """Return the seconds of one training on EMODB, once TensorFlow is loaded."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["SERLIB_CACHE"] = place
        parts = split.from_parts(index.scan(source, "emodb"))
        X, y = features.extract(parts.table, features=PAPER.features, root=source), parts.table["emotion"].to_numpy()
        model = models.seeded(PAPER.model, settings.SEED)
        models.with_epochs(model, 1).fit(X, y)
        start = time.perf_counter()
        model.fit(X, y, validation=(X[:50], y[:50]))
        return time.perf_counter() - start


if __name__ == "__main__":
    what, folder, *rest = sys.argv[1:]
    if what == "files":
        print(json.dumps(grow(folder, int(rest[0]))))
    elif what == "names":
        print(json.dumps(names(int(rest[0]))))
    else:
        print(train(folder))
