"""Time Whisper's features, folds and predictions in cold processes, beside the processor's limit: ENCODER.md.

``python benchmarks/encoder.py`` needs EMODB under ``SERLIB_DATA``, the weights, and openSMILE (``make extras``), whose
eGeMAPS with scikit-learn's SVM stand beside the recipe ``egemaps+svm`` on the same folds.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import threadpoolctl

from serlib import features, index, storage, weights

PAGE = Path(__file__).parent / "ENCODER.md"
N = 3  # processes of each kind; medians are given
TIMES = (1, 2, 3)  # how often each recording of EMODB is extracted, to see memory grow or not
EXTRACT = """
import json, os, tempfile, time
os.environ["SERLIB_CACHE"] = tempfile.mkdtemp()
from serlib import features, index
table = index.load("emodb")
began, used = time.perf_counter(), time.process_time()
features.extract(table, features=features.get("whisper"))
print(json.dumps([time.perf_counter() - began, time.process_time() - used]))
"""
MEMORY = """
import json, resource, sys
from serlib import features, index
table, kind = index.load("emodb"), features.get("whisper")
files = [index.root_of(table) / path for path in table["path"]] * int(sys.argv[1])
kind.load()
for _ in features.in_chunks(lambda chunk: [features.from_file(file, features=kind) for file in chunk], files):
    pass
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
"""
LOSO = """
import json, sys, time
from serlib import evaluate, index, recipes
table = index.load("emodb")
began = time.perf_counter()
evaluate.run(table, protocol="loso", recipe=recipes.get(sys.argv[1]), n_jobs=-1)
print(json.dumps(time.perf_counter() - began))
"""
PREDICT = """
import json, resource, sys
from serlib.predict import Predictor
Predictor(sys.argv[1]).hear_all([sys.argv[2]])
used = resource.getrusage(resource.RUSAGE_SELF)
heavy = sorted({"tensorflow", "keras", "sklearn", "torch", "pandas"} & set(sys.modules))
print(json.dumps([used.ru_utime + used.ru_stime, heavy]))
"""
PLAIN = """
import json, os, time
began = time.perf_counter()
import numpy as np, opensmile
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
import sys
files, y, speakers = json.load(open(sys.argv[1]))
smile = opensmile.Smile("eGeMAPSv02", "Functionals", num_workers=os.cpu_count())
X = smile.process_files(files).to_numpy()
model = make_pipeline(StandardScaler(), LinearSVC(C=0.01, max_iter=5000))
y_pred = cross_val_predict(model, X, np.array(y), groups=speakers, cv=LeaveOneGroupOut(), n_jobs=-1)
print(json.dumps([time.perf_counter() - began, balanced_accuracy_score(y, y_pred)]))
"""
OURS = """
import json, os, tempfile, time
began = time.perf_counter()
os.environ["SERLIB_CACHE"] = tempfile.mkdtemp()
from serlib import evaluate, index, metrics, recipes
result = evaluate.run(index.load("emodb"), protocol="loso", recipe=recipes.get("egemaps+svm"), n_jobs=-1)
print(json.dumps([time.perf_counter() - began, metrics.uar(result.predictions)]))
"""


def main():
    os.environ["SERLIB_PROFILE"] = "full"
    table = index.load("emodb")
    lines = [
        "# Whisper's features: how fast",
        "",
        f"Made by `python benchmarks/encoder.py` on whole EMODB, {os.cpu_count()} processors; medians of {N} cold"
        " processes each.",
        "",
        *extraction(table),
        *folds(),
        *prediction(table),
        *beside_opensmile(table),
    ]
    with storage.replacing(PAGE) as new:
        new.write_text("\n".join(lines), encoding="utf-8")
    print(PAGE)


def fresh(program, *arguments):
    """Return what a Python program prints as JSON, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def medians(program, *arguments):
    return [statistics.median(column) for column in zip(*(fresh(program, *arguments) for _ in range(N)), strict=True)]


def n_flops(duration_s, n_layers, n_dims):
    """Count the floating-point operations of an encoder's first layers on a recording: 2 for each multiplication."""
    n_mel = int(duration_s * 100)
    n = (n_mel + 1) // 2
    stem = n_mel * 3 * 80 * n_dims + n * 3 * n_dims * n_dims
    layer = 4 * n * n_dims**2 + 2 * n * n * n_dims + 8 * n * n_dims**2
    return 2 * (stem + n_layers * layer)


def extraction(table):
    kind = features.get("whisper")
    gflop = sum(n_flops(s, max(kind.layers), weights.KNOWN[kind.model].n_dims) for s in table["duration_s"]) / 1e9
    square = np.ones((2048, 2048), np.float32)

    def products(n):
        began = time.perf_counter()
        for _ in range(n):
            square @ square
        return time.perf_counter() - began

    with threadpoolctl.threadpool_limits(1), ThreadPoolExecutor() as pool:  # all processors at work, as in extraction
        took = list(pool.map(products, [20] * os.cpu_count()))
    speed = 20 * 2 * 2048**3 / statistics.median(took) / 1e9
    wall, used = medians(EXTRACT)
    memory = [fresh(MEMORY, times) for times in TIMES]
    n = len(table)
    grown = ", ".join(f"{times * n:,} files {mb:,.0f} MB" for times, mb in zip(TIMES, memory, strict=True))
    seconds = table["duration_s"].sum()
    return [
        f"**Extraction**: {wall:.1f} s for {seconds / 60:.0f} minutes of speech, {used:.1f} s of processor time"
        f" ({seconds / used:.0f} times real time on one processor). The network's {gflop:,.0f} GFLOP at the speed of a"
        f" product of two large matrices ({speed:.0f} GFLOP/s on each processor, all at work) would take"
        f" {gflop / speed:.1f} s: ours takes {used * speed / gflop:.2f} times as long, with decoding, resampling and"
        " the spectrogram.",
        "",
        f"Memory (largest resident set): {grown}.",
        "",
    ]


def folds():
    fresh(LOSO, "whisper+logistic")  # the features are in the cache
    took = statistics.median(fresh(LOSO, "whisper+logistic") for _ in range(N))
    return [f"**Leave one speaker out**, ten folds, features in the cache: {took:.1f} s.", ""]


def prediction(table):
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "serlib", "train", "-n", "emodb", "--recipe", "whisper+logistic", "-o"]
        subprocess.run([*command, Path(folder) / "bundle"], check=True, capture_output=True)
        wav = index.root_of(table) / table["path"].iloc[0]
        runs = [fresh(PREDICT, Path(folder) / "bundle", wav) for _ in range(N)]
    used, heavy = statistics.median(run[0] for run in runs), runs[0][1]
    loaded = f"loads {', '.join(heavy)}" if heavy else "loads neither TensorFlow, scikit-learn, torch nor pandas"
    return [f"**Prediction** of one recording, process and all: {used:.2f} s of processor time; it {loaded}.", ""]


def beside_opensmile(table):
    files = [str(index.root_of(table) / path) for path in table["path"]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.json"
        file.write_text(json.dumps([files, list(table["emotion"]), list(table["speaker"])]), encoding="utf-8")
        plain_s, plain_uar = medians(PLAIN, file)
    ours_s, ours_uar = medians(OURS)
    return [
        "**Beside openSMILE and scikit-learn alone**, eGeMAPS and an SVM, leave one speaker out, extraction and all: a"
        f" script of ten lines takes {plain_s:.1f} s (UAR {plain_uar:.3f}), `egemaps+svm` {ours_s:.1f} s"
        f" (UAR {ours_uar:.3f}; with probabilities, an audit and a cache).",
        "",
    ]


if __name__ == "__main__":
    main()
