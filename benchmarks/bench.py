"""Time the original's procedure and ours on the same files, in one run; show that growth is harmless; write RESULTS.md.

Pairs are interleaved and their medians compared. What is measured is kept under build/bench, a file per part, so that
a part can be measured again alone; `RESULTS.md` is written from all of them.

usage: SERLIB_DATA=FOLDER python benchmarks/bench.py [--parts pairs loso ...] [--corpora emodb ...] [--pairs 5]
       --corpora takes NAME (found under SERLIB_DATA) or NAME=FOLDER
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ["SERLIB_PROFILE"] = "full"
os.environ["SERLIB_CACHE"] = tempfile.mkdtemp(prefix="serlib-bench-")

import joblib
import librosa
import numpy as np
import scipy.fft
import scipy.stats
import soundfile
import soxr
import threadpoolctl

import growth
import original
from serlib import (
    audio,
    bundle,
    cache,
    corpora,
    evaluate,
    features,
    index,
    models,
    predict,
    recipes,
    settings,
    split,
    storage,
)

HERE = Path(__file__).parent
MADE = HERE.parent / "build" / "bench"
ORIGINAL, PAPER = recipes.get("original-2021"), recipes.get("paper")
EPOCHS, EPOCHS_OF_KERAS, EPOCHS_OF_LARGE = 500, 25, (10, 50)
LARGE = 3000  # from so many utterances on, fewer epochs are timed: of Keras, and of ours
SEEDS = range(10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--corpora", nargs="+", default=["emodb", "ravdess", "crema-d"])
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    found = [corpus_of(argument) for argument in options.corpora]
    original.mean_mfccs([next(iter(found[0].files))])  # numba is loaded
    for name in options.parts:
        for file, made in PARTS[name](found, options.pairs):
            print(name, json.dumps(made), flush=True)
            with storage.replacing(MADE / f"{file}.json") as temporary:
                temporary.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    write_page(options.pairs)


class corpus_of:
    """A corpus at hand: its folder, index table and files, and how it is called in the tables."""

    def __init__(self, argument):
        self.id, _, folder = argument.partition("=")
        self.folder = Path(folder) if folder else corpora.find_folder(settings.current().data, self.id)
        self.table = index.scan(self.folder, self.id)
        self.files = [self.folder / path for path in self.table["path"]]
        n_published = corpora.get(self.id).n_utterances
        part = "" if len(self.files) == n_published else "a part of "
        self.name = f"{part}{corpora.short_title(self.id)}, {len(self.files):,} files"


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def medians(calls, n):
    """Return the median seconds of each call: all of them in turn, n times."""
    rounds = [[seconds(call) for call in calls] for _ in range(n)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


# Pairs ---------------------------------------------------------------------------------------------------------------


def pairs(found, n):
    """Time every step of the original beside ours, on each corpus."""
    for corpus in found:
        rows = [*index_and_features(corpus, n), training(corpus, n), prediction(corpus, n)]
        yield f"pairs-{corpus.id}-{len(corpus.files)}", {"corpus": corpus.name, "rows": rows}


def row(step, theirs, ours, least, aim):
    return {"step": step, "original_s": theirs, "ours_s": ours, "at_least": least, "aim": aim}


def index_and_features(corpus, n):
    files, table, folder = corpus.files, corpus.table, corpus.folder
    index.scan(folder, corpus.id)  # the hashes are known
    theirs, ours = medians([lambda: original.durations(files), lambda: index.scan(folder, corpus.id)], n)
    yield row("index, without hashing contents", theirs, ours, 10, 20)

    def extract(recipe, n_jobs):
        return features.extract(table, features=recipe.features, root=folder, n_jobs=n_jobs)

    kinds = [(ORIGINAL, 1, 1.8, 2.5), (ORIGINAL, 2, 3.3, 5), (PAPER, 1, 2.4, 3.5), (PAPER, 2, 4.3, 6)]
    extract(PAPER, 2)  # the processes have started
    rounds = []
    for _ in range(n):
        times = [seconds(lambda: original.mean_mfccs(files))]
        for recipe, n_jobs, *_ in kinds:
            forget(corpus)
            times.append(seconds(lambda r=recipe, k=n_jobs: extract(r, k)))
        rounds.append(times)
    theirs, *ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    for (recipe, n_jobs, least, aim), took in zip(kinds, ours, strict=True):
        yield row(f"features {recipe.name}, cold, {n_jobs} core{'s' * (n_jobs > 1)}", theirs, took, least, aim)
    extract(PAPER, 2)
    (again,) = medians([lambda: extract(PAPER, 2)], n)
    yield row("features again, files unmoved", theirs, again, 100, 300)
    yield row("features again, files moved", theirs, moved(corpus, n), 15, 30)


def forget(corpus):
    """Empty the cache, but for the contents of the files: `index` has just hashed them, as it always does."""
    cache.clear()
    cache.contents(corpus.folder, corpus.table["path"])


def moved(corpus, n):
    """Return the median time of an extraction whose files all have new places."""
    times = []
    for _ in range(n):
        with tempfile.TemporaryDirectory() as place:
            for path in corpus.table["path"]:
                (Path(place) / path).parent.mkdir(parents=True, exist_ok=True)
                (Path(place) / path).symlink_to((corpus.folder / path).resolve())
            times.append(seconds(lambda: features.extract(corpus.table, features=PAPER.features, root=place)))
    return statistics.median(times)


def arrays(corpus):
    """Return the vectors and emotions of the training and of the test part, for the original's recipe."""
    parts = split.from_parts(corpus.table)
    X = features.extract(parts.table, features=ORIGINAL.features, root=corpus.folder)
    y, tested = parts.table["emotion"].to_numpy(), (parts.table["fold"] == 0).to_numpy()
    return X[~tested], y[~tested], X[tested], y[tested]


def keras_fit(corpus, epochs, seed=0):
    """Let Keras's own loop train in a process of its own, from our weights.

    Returns the seconds of 500 epochs (the first as it was, the others scaled), and the test accuracy.
    """
    X, y, X_test, y_test = arrays(corpus)
    emotions = np.unique(y)
    Y, Y_test = ((part[:, None] == emotions).astype(np.float32) for part in (y, y_test))
    with tempfile.TemporaryDirectory() as place:
        file, weights = Path(place) / "data.npz", Path(place) / "weights.npz"
        np.savez(file, X=X, Y=Y, X_test=X_test, Y_test=Y_test)
        model = models.seeded(ORIGINAL.model, seed)
        np.savez(weights, *model.build(ORIGINAL.features.shape, len(emotions)).get_weights())
        said = run([sys.executable, HERE / "original.py", "fit", file, str(epochs), weights])
    first_s, others_s, accuracy = map(float, said.split())
    return scaled(first_s, others_s, epochs), accuracy


def scaled(first_s, others_s, epochs):
    """Return the seconds of 500 epochs; the first, in which TensorFlow compiles, is counted once."""
    return first_s + others_s * (EPOCHS - 1) / (epochs - 1)


def run(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def our_fit(corpus, epochs):
    """Train the same network on the same data by our loop; return the seconds of 500 epochs."""
    X, y, X_test, y_test = arrays(corpus)
    model, ends = models.with_epochs(models.seeded(ORIGINAL.model, 0), epochs), []
    start = time.perf_counter()
    model.fit(X, y, (X_test, y_test), lambda *_: ends.append(time.perf_counter()))
    return scaled(ends[0] - start, ends[-1] - ends[0], epochs)


def training(corpus, n):
    is_large = len(corpus.files) >= LARGE
    of_keras, of_ours = EPOCHS_OF_LARGE if is_large else (EPOCHS_OF_KERAS, EPOCHS)
    our_fit(corpus, 2)  # TensorFlow is loaded
    rounds = [(keras_fit(corpus, of_keras)[0], our_fit(corpus, of_ours)) for _ in range(n)]
    theirs, ours = (statistics.median(column) for column in zip(*rounds, strict=True))
    timed = f"Keras: {of_keras}" + (f", ours: {of_ours}" if is_large else "")
    limits = (2.5, 4) if is_large else (6, 10)
    return row(f"training, {EPOCHS} epochs ({timed}, scaled)", theirs, ours, *limits)


def prediction(corpus, n):
    """Compare the processor time of predicting one recording in a fresh process."""
    with tempfile.TemporaryDirectory() as place:
        how = {"epochs": 1, "root": corpus.folder, "folder": Path(place) / "bundle"}
        (_, _, folder), wav = bundle.train(corpus.table, recipe=PAPER, **how), corpus.files[0]
        theirs = [sys.executable, HERE / "original.py", "predict", folder / "model.keras", wav]
        ours = [sys.executable, "-m", "serlib", "predict", "-m", folder, wav]
        rounds = [(processor_seconds(theirs), processor_seconds(ours)) for _ in range(n)]
    return row(
        "predict one wav, processor time", *(statistics.median(column) for column in zip(*rounds, strict=True)), 5, 10
    )


def processor_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# On EMODB ------------------------------------------------------------------------------------------------------------


def loso(found, n):
    """Time leave-one-speaker-out on EMODB, all processors used, against ten Keras fits, one after another."""
    emodb = next(corpus for corpus in found if corpus.id == "emodb")
    ours, theirs = [], []
    for _ in range(n):
        theirs.append(10 * keras_fit(emodb, EPOCHS_OF_KERAS)[0])
        ours.append(
            seconds(lambda: evaluate.run(emodb.table, protocol="loso", recipe=ORIGINAL, n_jobs=-1, root=emodb.folder))
        )
    step = f"10-fold LOSO, {EPOCHS} epochs, both cores (Keras: one fold of {EPOCHS_OF_KERAS}, scaled)"
    made = row(step, statistics.median(theirs), statistics.median(ours), 10, 18)
    yield "loso", {"corpus": emodb.name, "rows": [made]}


def equal(found, _):
    """Train with both loops from ten seeds: is the accuracy the same? Keras's full runs check the scaled times."""
    emodb = next(corpus for corpus in found if corpus.id == "emodb")
    X, y, X_test, y_test = arrays(emodb)

    def ours(seed):
        model = models.seeded(ORIGINAL.model, seed).fit(X, y, (X_test, y_test))
        return float(model.history_["val_accuracy"].iloc[-1])

    full_s, ours_s = keras_fit(emodb, EPOCHS)[0], our_fit(emodb, EPOCHS)
    with ThreadPoolExecutor(2) as pool:  # not timed: two processes at once
        theirs = list(pool.map(lambda seed: keras_fit(emodb, EPOCHS, seed)[1], SEEDS))
    accuracies = [ours(seed) for seed in SEEDS]
    difference = np.subtract(accuracies, theirs)
    half = scipy.stats.t.ppf(0.95, len(difference) - 1) * difference.std(ddof=1) / np.sqrt(len(difference))
    yield (
        "equal",
        {
            "n_seeds": len(difference),
            "keras_accuracy": [round(accuracy, 4) for accuracy in theirs],
            "our_accuracy": [round(accuracy, 4) for accuracy in accuracies],
            "difference": float(difference.mean()),
            "interval_90": [float(difference.mean() - half), float(difference.mean() + half)],
            "keras_full_s": full_s,
            "ours_full_s": ours_s,
        },
    )


def together(found, n):
    """Train once alone, and twice at the same time in two processes."""
    emodb = next(corpus for corpus in found if corpus.id == "emodb")
    command = [sys.executable, HERE / "growth.py", "train", emodb.folder]
    alone, both = [], []
    for _ in range(n):
        alone.append(float(run(command)))
        with ThreadPoolExecutor(2) as pool:
            both += [float(said) for said in pool.map(run, [command, command])]
    yield "together", {"alone_s": statistics.median(alone), "each_of_two_s": statistics.median(both)}


# Growth and limits ---------------------------------------------------------------------------------------------------


def grow(found, _):
    """Index and extract more and more files; parse and split a million names."""
    emodb = next(corpus for corpus in found if corpus.id == "emodb")
    rows = [json.loads(run([sys.executable, HERE / "growth.py", "files", emodb.folder, str(n)])) for n in growth.SIZES]
    names = json.loads(run([sys.executable, HERE / "growth.py", "names", emodb.folder, str(growth.N_NAMES)]))
    yield "grow", {"files": rows, "names": names, "folder": folder_of_1000(emodb)}


def folder_of_1000(corpus):
    """Compare predicting a folder of 1,000 recordings with extracting their features alone."""
    with tempfile.TemporaryDirectory() as place:
        how = {"epochs": 1, "root": corpus.folder, "folder": Path(place) / "bundle"}
        predictor = predict.Predictor(bundle.train(corpus.table, recipe=PAPER, **how)[2])
        folder = growth.linked(corpus.folder, 1000, Path(place) / "wavs")
        files = audio.files(folder)

        def extracted():
            return list(features.in_chunks(growth.vectors, [(str(file), file) for file in files]))

        extracted()  # the processes have started
        alone, predicting = medians([extracted, lambda: predictor.hear_all(folder)], 5)
    return {"features_s": alone, "predict_s": predicting}


def limit(found, n):
    """Profile what remains: the libraries' calls alone, and the network's operations at the processor's speed."""
    emodb = next(corpus for corpus in found if corpus.id == "emodb")
    decoded = [soundfile.read(file, dtype="float32") for file in emodb.files]
    signals = [audio.resample(signal, sr, 22050) for signal, sr in decoded]
    frames = [frames_of(signal) for signal in signals]

    def extract():
        forget(emodb)
        features.extract(emodb.table, features=PAPER.features, root=emodb.folder, n_jobs=1)

    calls = {
        "decode (soundfile)": lambda: [soundfile.read(file, dtype="float32") for file in emodb.files],
        "resample (soxr)": lambda: [soxr.resample(signal, sr, 22050, quality="HQ") for signal, sr in decoded],
        "FFT (scipy)": lambda: [scipy.fft.rfft(some, axis=1) for some in frames],
        "mean MFCCs of the resampled signals": lambda: [
            features.mean_mfcc(signal, 22050, features=PAPER.features) for signal in signals
        ],
        "recording -> vector": lambda: [features.from_file(file, features=PAPER.features) for file in emodb.files],
        "hashing the contents, and extraction": extract,
    }
    made = {"features": dict(zip(calls, medians(calls.values(), n), strict=True))}

    def at_once(backend):
        with joblib.parallel_config(backend=backend):
            forget(emodb)
            features.extract(emodb.table, features=PAPER.features, root=emodb.folder, n_jobs=2)

    at_once("loky")  # the processes have started
    made["threads_s"], made["processes_s"] = medians([lambda: at_once("threading"), lambda: at_once("loky")], n)
    X, y, *_ = arrays(emodb)
    n_steps = EPOCHS * -(-len(X) // ORIGINAL.model.batch_size)
    square = np.ones((1024, 1024), np.float32)
    with threadpoolctl.threadpool_limits(1):
        gflops = 2 * 1024**3 / min(seconds(lambda: square @ square) for _ in range(20)) / 1e9
    network = ORIGINAL.model.build(ORIGINAL.features.shape, len(set(y)))
    made["training"] = {
        "ms_per_step": 1000 * our_fit(emodb, EPOCHS) / n_steps,
        "mflop_per_step": 3 * 2 * ORIGINAL.model.batch_size * multiplications(network) / 1e6,
        "gflops_of_a_large_product": gflops,
    }
    yield "limit", made


def frames_of(signal):
    padded = np.pad(signal, 256)
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(padded, 512)[::256])


def multiplications(network):
    """Count the multiplications of one forward pass: a backward pass takes twice as many."""
    return sum(
        int(np.prod(layer.kernel.shape)) * (layer.output.shape[1] if len(layer.output.shape) == 3 else 1)
        for layer in network.layers
        if hasattr(layer, "kernel")
    )


PARTS = {"pairs": pairs, "loso": loso, "equal": equal, "together": together, "grow": grow, "limit": limit}


# The page ------------------------------------------------------------------------------------------------------------


def write_page(n):
    """Write `RESULTS.md` from what has been measured."""
    machine = f"{os.cpu_count()} processors ({platform.machine()}), Python {platform.python_version()}"
    versions = ", ".join(f"{module.__name__} {module.__version__}" for module in (np, librosa, soxr))
    lines = [
        "# How fast it is",
        "",
        "Made by `make bench`: the procedure of the original (`original.py`) and ours on the same files, in one run,",
        f"{n} interleaved pairs each, medians. {machine}; {versions}.",
        "",
        "| corpus | what | original (s) | ours (s) | ratio | at least | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    for file in [
        *sorted(MADE.glob("pairs-*.json"), key=lambda file: int(file.stem.split("-")[-1])),
        MADE / "loso.json",
    ]:
        made = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"rows": []}
        for one in made["rows"]:
            theirs, ours = one["original_s"], one["ours_s"]
            cells = (made["corpus"], one["step"], f"{theirs:.3g}", f"{ours:.3g}", f"{theirs / ours:.1f}")
            lines.append(f"| {' | '.join(cells)} | {one['at_least']} | {one['aim']} |")
    for name, write in {
        "equal": write_equal,
        "together": write_together,
        "grow": write_grow,
        "limit": write_limit,
    }.items():
        if (MADE / f"{name}.json").is_file():
            lines += ["", *write(json.loads((MADE / f"{name}.json").read_text(encoding="utf-8")))]
    (HERE / "RESULTS.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(HERE / "RESULTS.md")


def write_equal(made):
    low, high = (f"{100 * limit:+.1f}" for limit in made["interval_90"])
    return [
        "## The same model, not only sooner",
        "",
        f"`original-2021` on EMODB's random split, {EPOCHS} epochs, {made['n_seeds']} seeds, each from the same"
        f" weights. Test accuracy by Keras's `fit` {np.mean(made['keras_accuracy']):.3f}, by our loop"
        f" {np.mean(made['our_accuracy']):.3f}; difference {100 * made['difference']:+.1f} points, 90 % interval"
        f" {low} to {high}.",
        "",
        f"Nothing scaled: Keras {made['keras_full_s']:.0f} s, ours {made['ours_full_s']:.1f} s.",
        "The tests hold both loops to the same losses, step by step.",
    ]


def write_together(made):
    return [
        "## Two at once",
        "",
        f"One training takes {made['alone_s']:.1f} s; two at the same time, each in a process of its own on two cores,"
        f" {made['each_of_two_s']:.1f} s each ({made['each_of_two_s'] / made['alone_s']:.2f} times as long).",
    ]


def write_grow(made):
    lines = [
        "## Growth",
        "",
        "Real recordings under more and more names; no cache. Milliseconds per file, both cores. Memory is the largest"
        " resident set, libraries included, of the process that asks and of the larger of its two workers.",
        "",
        "| files | index (ms) | features (ms) | memory (MB) | a worker's (MB) | its vectors (MB) |",
        "|---|---|---|---|---|---|",
    ]
    for one in made["files"]:
        per_file = (f"{1000 * one[key] / one['n']:.3f}" for key in ("index_s", "features_s"))
        memory = (f"{mb:.1f}" for mb in (one["memory_mb"], one["worker_mb"], one["n"] * 50 * 4 / 1e6))
        lines.append(f"| {one['n']:,} | {' | '.join([*per_file, *memory])} |")
    names, folder = made["names"], made["folder"]
    return [
        *lines,
        "",
        f"{names['n']:,} names without files: parsed in {names['parse_s']:.1f} s; split by `speakers`, `random` in five"
        f" folds and `random` 80/20 in {names['split_s']:.1f} s together.",
        "",
        f"`predict` on a folder of 1,000 recordings: {folder['predict_s']:.2f} s, their features alone"
        f" {folder['features_s']:.2f} s ({folder['predict_s'] / folder['features_s']:.2f} times).",
    ]


def write_limit(made):
    training = made["training"]
    floor = training["mflop_per_step"] / training["gflops_of_a_large_product"]
    return [
        "## What remains",
        "",
        "Where the time of `paper`'s extraction goes, EMODB, one core:",
        "",
        "| step | s |",
        "|---|---|",
        *(f"| {step} | {took:.3f} |" for step, took in made["features"].items()),
        "",
        "Decoding, resampling and the FFT are library calls on every sample, and the limit: what is not theirs is the"
        " window, the mel bands and the logarithm, and Python between the calls.",
        "",
        f"Both cores, hashing included: {made['threads_s']:.3f} s in two threads, {made['processes_s']:.3f} s in two"
        " processes that have started. Each call lets other threads run, but is so short that handing over Python's"
        " lock eats up much of the gain.",
        "",
        f"A training step (32 vectors forward and backward) takes {training['ms_per_step']:.2f} ms for"
        f" {training['mflop_per_step']:.0f} million floating-point operations. At the speed of a product of two large"
        f" matrices on one core ({training['gflops_of_a_large_product']:.0f} GFLOP/s) it would take {floor:.2f} ms: the"
        " rest is what it costs to start many operations on arrays this small.",
    ]


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(os.environ["SERLIB_CACHE"], ignore_errors=True)
