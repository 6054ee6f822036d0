"""Time the original's procedure and ours on the same files, in one run, and write benchmarks/RESULTS.md.

Pairs are interleaved, and medians are compared. The original's calls and settings are re-enacted here with today's
libraries: every file is decoded and resampled once for its duration and once more for its MFCCs, one after another,
with nothing kept; then Keras's ``fit`` trains, batch 32, with the test part scored after every epoch.

usage: SERLIB_DATA=FOLDER python benchmarks/bench.py [--corpora emodb ravdess ...] [--pairs 5]
"""

import argparse
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["SERLIB_PROFILE"] = "full"
os.environ["SERLIB_CACHE"] = tempfile.mkdtemp(prefix="serlib-bench-")

import keras
import librosa
import numpy as np

from serlib import cache, corpora, evaluate, features, index, model, settings, split

HERE = Path(__file__).parent
ORIGINAL, PAPER = settings.RECIPES["original-2021"], settings.RECIPES["paper"]
EPOCHS_TIMED, EPOCHS = 25, 500


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpora", nargs="+", default=["emodb", "ravdess", "crema-d"])
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    rows = []
    for name in options.corpora:
        folder = corpora.find_folder(settings.current().data, name)
        rows += on_corpus(folder, name, options.pairs)
    rows += [loso(corpora.find_folder(settings.current().data, "emodb"))]
    write(rows, options.pairs)


def pairs(theirs, ours, n):
    """Return the medians of n interleaved runs of both, in seconds."""
    times = [(seconds(theirs), seconds(ours)) for _ in range(n)]
    return tuple(statistics.median(column) for column in zip(*times, strict=True))


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def on_corpus(folder, name, n):
    """Time index, features, cache, training and prediction on one corpus."""
    table = index.scan(folder, name)
    files = [folder / path for path in table["path"]]
    what = f"{corpora.short_title(name)}, {len(files):,} files"
    mfccs(files[:1])  # numba is loaded
    rows = []

    def row(step, times, least, aim):
        print(what, step, times, flush=True)
        rows.append((what, step, *times, least, aim))

    row("index, hashes known", pairs(lambda: decode(files), lambda: index.scan(folder, name), n), 10, 20)
    for recipe, limits in ((ORIGINAL, ((1.8, 2.5), (3.3, 5))), (PAPER, ((2.4, 3.5), (4.3, 6)))):
        for n_jobs, (least, aim) in zip((1, 2), limits, strict=True):
            times = pairs(lambda: mfccs(files), lambda r=recipe, k=n_jobs: cold(table, folder, r, k), n)
            row(f"features {recipe.name}, cold, {n_jobs} core{'s' * (n_jobs > 1)}", times, least, aim)
    cold(table, folder, PAPER, -1)
    times = pairs(lambda: mfccs(files), lambda: features.extract(table, features=PAPER.features, root=folder), n)
    row("features again, files unmoved", times, 100, 300)
    row("features again, files moved", (times[0], moved(table, folder, n)), 15, 30)
    row(f"training, {EPOCHS} epochs (Keras: {EPOCHS_TIMED}, scaled)", training(table, folder, n), 6, 10)
    row("predict one wav, processor time", prediction(table, folder, n), 5, 10)
    return rows


def decode(files):
    """Learn durations as the original does: by decoding and resampling."""
    return [librosa.get_duration(y=signal, sr=sr) for signal, sr in map(librosa.load, files)]


def mfccs(files):
    """Extract features as the original does."""
    return [
        np.mean(librosa.feature.mfcc(y=signal, sr=sr, n_mfcc=50, hop_length=552).T, axis=0)
        for signal, sr in map(librosa.load, files)
    ]


def cold(table, folder, recipe, n_jobs):
    cache.clear()
    return features.extract(table, features=recipe.features, root=folder, n_jobs=n_jobs)


def moved(table, folder, n):
    """Return the median time of an extraction whose files all have new places."""
    times = []
    for _ in range(n):
        with tempfile.TemporaryDirectory() as place:
            for path in table["path"]:
                (Path(place) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(place) / path).symlink_to(folder / path)
            times.append(seconds(lambda: features.extract(table, features=PAPER.features, root=place)))
    return statistics.median(times)


def parts_of(table, folder):
    """Return X and y of the training and of the test part, for the original's recipe."""
    parts = split.from_parts(table)
    X, y = features.extract(parts.table, features=ORIGINAL.features, root=folder), parts.table["emotion"].to_numpy()
    tested = (parts.table["fold"] == 0).to_numpy()
    return X[~tested], y[~tested], X[tested], y[tested]


def keras_fit(X, y, X_test, y_test, epochs):
    """Train as the original does: the same network and data, by Keras's own loop."""
    emotions = sorted(set(y))
    network = model.build(ORIGINAL, len(emotions))
    Y, Y_test = (np.eye(len(emotions), dtype=np.float32)[np.searchsorted(emotions, part)] for part in (y, y_test))
    held_out = (X_test[..., None], Y_test)
    network.fit(X[..., None], Y, batch_size=32, epochs=epochs, shuffle=False, verbose=0, validation_data=held_out)


def our_fit(X, y, X_test, y_test, epochs):
    model.fit(ORIGINAL, X, y, emotions=sorted(set(y)), validation=(X_test, y_test), epochs=epochs)


def training(table, folder, n):
    data = parts_of(table, folder)
    keras_s, ours_s = pairs(lambda: keras_fit(*data, EPOCHS_TIMED), lambda: our_fit(*data, EPOCHS), n)
    return keras_s * EPOCHS / EPOCHS_TIMED, ours_s


def loso(folder):
    """Time leave-one-speaker-out on EMODB, all processors used, against ten Keras fits, one after another."""
    table = index.scan(folder, "emodb")
    keras_s = 10 * training(table, folder, 1)[0]
    ours_s = seconds(lambda: evaluate.run(table, protocol="loso", recipe=PAPER, n_jobs=-1, roots={"emodb": folder}))
    return ("EMODB", "10-fold LOSO, 500 epochs (Keras: scaled)", keras_s, ours_s, 10, 18)


PREDICT = """
import sys, keras, librosa, numpy as np
model = keras.saving.load_model(sys.argv[1], compile=False)
signal, sr = librosa.load(sys.argv[2])
vector = np.mean(librosa.feature.mfcc(y=signal, sr=sr, n_mfcc=50, hop_length=552).T, axis=0).reshape(1, 50, 1)
print(model.predict(vector, verbose=0)[0])
"""


def prediction(table, folder, n):
    """Return the processor time of predicting one recording in a fresh process."""
    with tempfile.TemporaryDirectory() as place:
        bundle, parts = Path(place) / "bundle", split.from_parts(table)
        X = features.extract(parts.table, features=PAPER.features, root=folder)
        fold = evaluate.fit_fold(parts, X, recipe=PAPER, epochs=1)
        model.save(bundle, fold.network, fold.history, evaluate.contract(fold, parts, recipe=PAPER))
        wav = folder / table["path"][0]
        theirs = [sys.executable, "-c", PREDICT, bundle / "model.keras", wav]
        ours = [sys.executable, "-m", "serlib", "predict", "-m", bundle, wav]
        times = [(processor_seconds(theirs), processor_seconds(ours)) for _ in range(n)]
    return tuple(statistics.median(column) for column in zip(*times, strict=True))


def processor_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def write(rows, n):
    """Write the page of results."""
    machine = f"{os.cpu_count()} processors ({platform.machine()}), Python {platform.python_version()}"
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (np, librosa, keras))
    lines = [
        "# How fast it is",
        "",
        "Made by `make bench`: the procedure of the original and ours on the same files, in one run,",
        f"{n} interleaved pairs each, medians. {machine}; {versions}.",
        "",
        "| corpus | what | original (s) | ours (s) | ratio | at least | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    for what, step, theirs, ours, least, aim in rows:
        lines.append(f"| {what} | {step} | {theirs:.3g} | {ours:.3g} | {theirs / ours:.1f} | {least} | {aim} |")
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(HERE / "RESULTS.md")


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(os.environ["SERLIB_CACHE"], ignore_errors=True)
