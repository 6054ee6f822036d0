"""Commands that learn and answer: recipes, train, evaluate, predict, figures."""

import re
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from .. import corpora, settings, storage
from .options import (
    AsJson,
    Balanced,
    ByGender,
    Corpora,
    Data,
    Epochs,
    Mapping,
    Only,
    RecipeName,
    Seed,
    Table,
    TestSpeakers,
    Verify,
    app,
    indexed,
    relabelling,
)
from .printing import print_json, print_lines, print_rows, print_table, say


@app.command("recipes")
def recipes_command(as_json: AsJson = False):
    """List the recipes, kinds of features and classifiers; any 'features+classifier' is a recipe."""
    from .. import features, models, recipes

    named = [{"name": name, "what": about} for name, about in recipes.ABOUT.items()]
    kinds = [
        {"name": name, "what": kind.about, "shape": list(kind.shape), "cost": kind.cost, "licence": kind.licence}
        for name, kind in features.NAMED.items()
    ]
    classifiers = [
        {"name": name, "what": one.about, "cost": one.cost, "licence": one.licence}
        for name, one in models.NAMES.items()
    ]
    if as_json:
        print_json({"recipes": named, "features": kinds, "classifiers": classifiers})
        return
    for title, rows in (("recipes", named), ("features", kinds), ("classifiers", classifiers)):
        shown = [
            [" x ".join(map(str, cell)) if isinstance(cell, list) else cell for cell in row.values()] for row in rows
        ]
        print_rows(list(rows[0]), shown, [False] * len(rows[0]), title)
    print_lines("Any pair that fits is a recipe: --recipe mfcc-functionals+svm")


@app.command("features")
def features_command(
    kind: Annotated[str, typer.Option("--features", help="Kind of features; 'serlib recipes' lists them.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Table to write: .csv or .parquet.")],
    names: Corpora = None,
    csv: Table = None,
    data: Data = None,
    verify: Verify = False,
):
    """Write the features of a corpus to a table, for other programs."""
    import pandas as pd

    from .. import features

    if output.suffix not in (".csv", ".parquet"):
        raise ValueError(f"-o {output} is no table; expected a name that ends in .csv or .parquet")
    chosen = features.get(kind)
    table, roots = indexed(names, csv, data)
    used = table[table["part"] != ""].reset_index(drop=True)
    used.attrs = table.attrs
    X = features.extract(used, features=chosen, root=roots, verify=verify, progress=sys.stderr.isatty())
    numbers = pd.DataFrame(X.reshape(len(X), -1)).add_prefix(f"{kind}_")
    written = pd.concat([used[["utterance", "corpus", "speaker", "emotion", "part"]], numbers], axis=1)
    with storage.replacing(output) as new:
        written.to_csv(new, index=False) if output.suffix == ".csv" else written.to_parquet(new)
    print_lines(f"{len(written):,} utterances, {numbers.shape[1]:,} numbers each", output)


@app.command()
def train(
    names: Corpora = None,
    csv: Table = None,
    recipe: RecipeName = "paper",
    balanced: Balanced = False,
    epochs: Epochs = None,
    seed: Seed = settings.SEED,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Bundle (model folder) to write.")] = None,
    mapping: Mapping = None,
    only: Only = None,
    by_gender: ByGender = False,
    test_speakers: TestSpeakers = None,
    data: Data = None,
    verify: Verify = False,
    curves: Annotated[bool, typer.Option("-a", "--show_accuracy", help="Draw the learning curves.")] = False,
    matrix: Annotated[bool, typer.Option("-c", "--plot_confusion", help="Draw the confusion matrix.")] = False,
    _load: Annotated[bool, typer.Option("-l", "--load_data", hidden=True)] = False,
    _save: Annotated[bool, typer.Option("-s", "--save_model", hidden=True)] = False,
    as_json: AsJson = False,
):
    """Train a recipe on the training part, test it, and save it as a bundle."""
    from .. import recipes

    chosen = recipes.get(recipe, balanced=balanced)
    table, roots = indexed(names, csv, data, relabelling(mapping, only, by_gender), test_speakers)
    from .. import bundle, metrics

    started, progress = time.perf_counter(), sys.stderr.isatty()
    how = {"epochs": epochs, "seed": seed, "root": roots, "verify": verify, "progress": progress}
    contract, fold, folder = bundle.train(table, recipe=chosen, folder=output, **how)
    summary = metrics.summary(fold.predictions)
    files = _training_figures(folder, contract, fold, curves, matrix)
    document = {
        "corpus": contract.corpus,
        "protocol": contract.split.protocol,
        "recipe": chosen.name,
        "bundle": str(folder),
        "n_train": fold.n_train,
        "n_test": len(fold.predictions),
        "epochs": contract.epochs,
        "seconds": round(time.perf_counter() - started, 1),
        "accuracy": summary["accuracy"],
        "uar": summary["uar"],
        "files": [str(file) for file in files],
    }
    if as_json:
        print_json(document)
        return
    learned = f"{contract.epochs} epochs, " if contract.epochs else ""
    curve = f"; validation curve from {fold.validation}" if contract.epochs else ""
    print_lines(f"{contract.corpus}, {chosen.name}, {learned}{document['seconds']} s{curve}")
    print_lines(f"{_split_in_words(contract)}, {fold.n_train} utterances trained on, {summary['n']} tested:")
    print_lines(f"UAR {summary['uar']:.3f}, chance {summary['chance']:.3f}; {_accuracy(fold.predictions)}")
    for file in (folder, *files):
        print_lines(file)


def _split_in_words(contract):
    """Describe how the parts were made, and whether they share speakers."""
    if contract.split.protocol == "speakers":
        return "the table's own parts (no speaker on both sides)"
    how = "random split" if contract.split.protocol == "random" else "the table's own parts"
    return f"{how} (speakers on both sides)"


def _accuracy(predictions):
    """Describe the accuracy beside that of the majority class."""
    from .. import metrics

    commonest = metrics.majority_rate(predictions)
    return f"accuracy {metrics.accuracy(predictions):.3f}, always the commonest emotion {commonest:.3f}"


def _training_figures(folder, contract, fold, curves, matrix):
    """Draw the requested figures into the bundle's folder; return the files."""
    if curves and not contract.epochs:
        say(f"{contract.recipe} learns in no epochs: there are no learning curves to draw")
    if not ((curves and contract.epochs) or matrix):
        return []
    from .. import figures

    about = {"corpus": contract.corpus, "protocol": contract.split.protocol, "recipe": contract.recipe}
    about |= {"seed": contract.seed, "synthetic": contract.synthetic}
    files = []
    if curves and contract.epochs:
        name = "test" if fold.validation == "test" else "validation"
        axes = figures.draw_history(fold.history, validation=name)
        files.append(figures.save(axes[0].figure, folder / "learning-curves.png", about=about))
    if matrix:
        ax = figures.draw_confusion(fold.predictions)
        files.append(figures.save(ax.figure, folder / "confusion.png", about=about))
    return files


@app.command("evaluate")
def evaluate_command(
    names: Corpora = None,
    csv: Table = None,
    protocol: Annotated[
        str | None, typer.Option(help="random, speakers (default), loso, sentences, cross-corpus or given-parts.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Number of folds; default: the protocol's.")] = None,
    recipe: RecipeName = "paper",
    balanced: Balanced = False,
    epochs: Epochs = None,
    seed: Seed = settings.SEED,
    test_on: Annotated[str | None, typer.Option(help="Another corpus to test on (protocol cross-corpus).")] = None,
    normalise: Annotated[
        str | None, typer.Option(help="Standardise the vectors of each 'speaker' or 'corpus'.")
    ] = None,
    into: Annotated[Path | None, typer.Option(help="Bundle that gets the score on unseen speakers.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Predictions table to write.")] = None,
    mapping: Mapping = None,
    only: Only = None,
    by_gender: ByGender = False,
    test_speakers: TestSpeakers = None,
    data: Data = None,
    verify: Verify = False,
    as_json: AsJson = False,
):
    """Score a recipe under a protocol; default: unseen speakers."""
    from .. import recipes

    chosen = recipes.get(recipe, balanced=balanced)
    protocol = protocol or ("cross-corpus" if test_on else "speakers")
    if test_on and protocol != "cross-corpus":
        raise ValueError(f"--test-on goes with the protocol cross-corpus, not {protocol}; leave one of them out")
    if test_speakers and (protocol != "speakers" or folds or test_on or into):
        raise ValueError(
            f"--test-speakers {test_speakers} says who is tested; leave --protocol, --folds and --into out"
        )
    relabel = relabelling(mapping, only, by_gender)
    table, roots = indexed(names, csv, data, relabel, test_speakers)
    from .. import evaluate, index, metrics, results, split

    test_table, called = None, split.protocol_name(protocol, normalise)
    if into is not None:
        _refuse_score(into, called, table, chosen, epochs)
    kept_as = _kept_as(called, table, test_on, relabel, test_speakers)
    file = output or results.file_of(settings.current().runs, "+".join(index.names(table)), chosen.name, kept_as, seed)
    results.refuse_place(file)  # before any work
    if test_on:
        test_table, test_roots = indexed([test_on], None)
        if relabel:  # whose words the other corpus need not have; what is tested is what both have
            words = {old: new for old, new in relabel["mapping"].items() if old in set(test_table["emotion"])}
            test_table = index.relabel(test_table, mapping=words, by_gender=relabel["by_gender"])
        roots |= test_roots
    result = evaluate.run(
        table,
        protocol="random" if test_speakers else protocol,  # which takes the table's parts as they stand
        n_folds=folds,
        test_table=test_table,
        recipe=chosen,
        normalise=normalise,
        epochs=epochs,
        seed=seed,
        n_jobs=-1,
        root=roots,
        folder=settings.current().runs / "folds",
        verify=verify,
        progress=sys.stderr.isatty(),
    )
    summary = metrics.summary(result.predictions)
    results.write(result, file)
    if into is not None:
        from .. import bundle

        bundle.write_score(into, result)
    for problem in result.about["problems"]:
        if problem not in table.attrs.get("problems", []):  # those were said when it was indexed
            say(problem)
    leaks = ", ".join(f"{leak['kind']} {leak['n']:,}" for leak in result.about["leaks"])
    audited = f"audit: of {summary['n']:,} tested utterances, shared with the training part: {leaks}"
    if as_json:
        say(audited)
        print_json(summary)
    else:
        _print_scores(result, summary)
        print_lines(audited, file)


def _kept_as(called, table, test_on, relabel, test_speakers):
    """Return the protocol's name in the results folder, which tells other corpora, tasks and test speakers apart."""
    from .. import index

    parts = [corpora.get(test_on).id] if test_on else []
    parts += [index.fingerprint(table)[:8]] if relabel else []
    parts += ["+".join(re.findall(r"\w+", test_speakers))] if test_speakers else []
    return "-".join([called, *parts])


def _print_scores(result, summary):
    """Print each emotion's scores, and the UAR with its interval."""
    from .. import metrics

    what = f"synthetic {summary['corpus']}" if result.about["synthetic"] else summary["corpus"]
    title = f"{what}, {summary['recipe']}, {summary['protocol']}: {summary['n_folds']} folds"
    print_table(metrics.per_emotion(result.predictions), title)
    interval, spread = summary["uar_ci95"], "no interval: < 6 speakers"
    if interval:
        spread = f"95 % interval over speakers {interval[0]:.3f} to {interval[1]:.3f}"
    print_lines(f"UAR {summary['uar']:.3f} ({spread}), chance {summary['chance']:.3f}")
    print_lines(f"{_accuracy(result.predictions)}; {summary['n']} utterances")


def _refuse_score(folder, protocol, table, recipe, epochs):
    """Raise before any work if a bundle could not take the score."""
    from .. import bundle, evaluate, index

    if not folder.exists() and str(folder) in bundle.shipped():
        raise ValueError(f"{folder} comes with serlib, and no score is written into it; name a bundle of your own")
    contract = bundle.read(folder)
    bundle.refuse_place(folder)
    about = {"task": index.fingerprint(table), "settings": recipe.settings()}
    bundle.refuse_other_task(contract, protocol, about | {"epochs": evaluate.epochs_for(table, recipe, epochs)})


@app.command()
def predict(
    bundle: Annotated[Path, typer.Option("-m", "--model", help="Folder of a bundle, or strangers or emodb-paper.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Sound files, or folders of them.")] = None,
    more: Annotated[
        list[Path] | None, typer.Option("-p", "--path", help="Another sound file or folder; may be repeated.")
    ] = None,
    calibrate: Annotated[
        list[Path] | None,
        typer.Option("--calibrate", help="Sentences of the same voice in any mood; may be repeated."),
    ] = None,
    windows: Annotated[
        bool, typer.Option("--windows", help="Answer window by window, skipping pauses; for long recordings.")
    ] = False,
    window_s: Annotated[
        float | None, typer.Option("--window", help="Length of a window in seconds; default: 3.")
    ] = None,
    hop_s: Annotated[
        float | None, typer.Option("--hop", help="Distance between windows in seconds; default: 1.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the windows to a .csv, or draw them to a .png.")
    ] = None,
    as_json: AsJson = False,
):
    """Predict the emotion of recordings, with probabilities."""
    from .. import bundle as bundles
    from .. import predict as predicting

    wanted = [*(paths or []), *(more or [])]
    if not wanted:
        raise ValueError("no recording is named; give sound files or folders of them")
    how = {name: s for name, s in (("window_s", window_s), ("hop_s", hop_s)) if s is not None}
    if not windows and (how or output):
        raise ValueError("--window, --hop and -o go with --windows; give that, too, or leave them out")
    files = predicting.recordings(wanted)
    if output is not None and (len(files) > 1 or output.suffix not in (".csv", ".png")):
        raise ValueError(
            f"-o {output} takes one recording, as .csv or .png; found {len(files)}. Name one, and such a file"
        )
    predictor, voice = predicting.Predictor(bundle), predicting.recordings(calibrate or [])
    predictor = predictor.calibrated(voice) if calibrate else predictor
    contract = predictor.contract
    what = " (synthetic speech)" if contract.synthetic else ""
    say(f"profile {settings.current().profile}; {contract.recipe} model of {contract.corpus}{what} from {bundle}")
    say(bundles.trust(contract))
    if calibrate:
        say(f"calibrated to {len(voice)} recording{'s' * (len(voice) != 1)}; nothing of them is stored")
    if windows:
        return _predict_windows(predictor, files, how, output, as_json)
    heard = predictor.hear_all(files, progress=sys.stderr.isatty())
    for one in heard:
        for line in [one["error"]] if "error" in one else [f"{one['path']}: {warning}" for warning in one["warnings"]]:
            say(line)
    good = [one for one in heard if "error" not in one]
    if as_json:
        print_json(heard)
    elif good:
        rows = [(storage.printable(one["path"]), one["emotion"], _in_words(one["probabilities"])) for one in good]
        print_rows(["path", "emotion", "probabilities"], rows, [False] * 3)
    return 0 if len(good) == len(heard) else 1


def _predict_windows(predictor, files, how, output, as_json):
    """Predict recordings window by window; print, write or draw the result."""
    from .. import audio, figures
    from .. import predict as predicting

    found, failed = [], False
    for file in files:
        try:
            table = predicting.windows(file, predictor, **how)
        except (OSError, ValueError) as error:
            say(str(error))
            found, failed = [*found, {"path": str(file), "error": str(error)}], True
            continue
        found.append({"path": str(file), "windows": table.to_dict("records")})
        if not as_json:
            _print_windows(table, file)
        if output is not None and output.suffix == ".csv":
            with storage.replacing(output) as new:
                table.assign(warnings=table["warnings"].str.join("; ")).to_csv(new, index=False)
            print_lines(output)
        elif output is not None:
            contract = predictor.contract
            about = {"recording": file.name, "model": contract.recipe, "corpus": contract.corpus}
            axes = figures.draw_windows(table, audio.envelope(file))
            print_lines(figures.save(axes[0].figure, output, about=about | {"synthetic": contract.synthetic}))
    if as_json:
        print_json(found)
    return int(failed)


def _print_windows(table, file):
    """Print the most probable emotion over time, and how many windows have warnings, and why."""
    kinds = table["warnings"].explode().dropna().str.split(":").str[0].value_counts()
    for kind, n in kinds.items():
        say(f"{file}: {n:,} of {len(table):,} windows: {kind}")
    p = table.filter(like="p_").max(axis=1)
    rows = zip(*(table[column] for column in ("start_s", "end_s", "emotion")), p, strict=True)
    print_rows(["start (s)", "end (s)", "emotion", "probability"], rows, [True, True, False, True], str(file))


def _in_words(probabilities):
    """Return all probabilities as text, the largest first."""
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    return ", ".join(f"{emotion} {p:.3f}" for emotion, p in ranked)


@app.command("export")
def export_command(
    bundle: Annotated[Path, typer.Option("-m", "--model", help="Folder of a bundle, or strangers or emodb-paper.")],
    form: Annotated[str, typer.Option("--format", help="onnx; for networks also keras or litert.")] = "onnx",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
):
    """Export a model's classifier to another format, and check its answer."""
    from .. import export

    output = output or Path(f"{bundle.resolve().name}{export.SUFFIXES.get(form, '')}")
    print_lines(export.export(bundle, form, output))


@app.command("figures")
def figures_command(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder to write into.")] = None,
    name: Annotated[str, typer.Option("-n", "--name", help="Corpus to draw.")] = "emodb",
):
    """Draw every figure of the README and the book."""
    from .. import readme_figures

    indexed([name], None)
    for file in readme_figures.draw_all(output or settings.current().figures, corpus=name):
        print_lines(file)
