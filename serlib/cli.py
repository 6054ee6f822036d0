"""The same functions from a terminal.

Results go to stdout, everything else to stderr. Exit 0: done; 1: part of the work failed; 2: the request was wrong.
"""

import contextlib
import json
import os
import platform
import shutil
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from . import __version__, corpora, settings

INTERRUPTED = 130
MAX_SEED = 2**32 - 1  # NumPy's and scikit-learn's

app = typer.Typer(
    name="serlib",
    help="Speech emotion recognition on seven corpora.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Corpus = Annotated[str | None, typer.Option("-n", "-d", "--name", help="The corpus, by its name.")]
CorpusName = Annotated[str | None, typer.Option("-n", "--dataset_name", help="The corpus, by its name.")]
Folder = Annotated[Path | None, typer.Option("-d", "--dataset", help="The folder that holds the corpus.")]
Table = Annotated[Path | None, typer.Option("-p", "--csv", help="An index table, as 'index' writes it.")]
Data = Annotated[Path | None, typer.Option("--data", help="The folder that the table's paths are relative to.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="Features, model and training, under one name.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="By default the recipe's; few for synthetic speech.")]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=MAX_SEED, help="Draws weights and batches, and folds where there are any.")
]
Verify = Annotated[bool, typer.Option("--verify", help="Read every file, even if it seems not to have changed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def main():
    """Run the command line; any error of the user's is one line on stderr."""
    settings.bound_threads()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:  # closed: now nowhere, also for processes that are started; not the next file
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115 - until the end
    sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: a name that it cannot show costs nobody the result
    try:
        code = app(standalone_mode=False)
    except BrokenPipeError:  # whoever reads has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except typer.TyperException as error:
        _say(" ".join(error.format_message().split()))
        code = 2
    except (ValueError, OSError) as error:
        _say(" ".join(str(error).split()))
        code = 2
    if code == INTERRUPTED:  # Typer's own exit code, too, where it catches the interrupt
        _say("stopped; what was not finished has replaced nothing")
    sys.exit(code)


def _say(line):
    print(f"serlib: {settings.printable(line)}", file=sys.stderr)


@contextlib.contextmanager
def _printing():
    """Print at once, and say so where stdout takes nothing."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(f"stdout cannot be written to ({error.strerror}); expected room. Name another place") from None


def _print(*lines):
    """Print lines on stdout, whatever names they hold: no terminal obeys one."""
    with _printing():
        for line in lines:
            print(settings.printable(line))


def _print_json(document):
    _print(*json.dumps(document, ensure_ascii=False, indent=1).split("\n"))


def _print_table(table, title):
    """Print a DataFrame as a table on stdout."""
    import pandas as pd

    numeric = [pd.api.types.is_numeric_dtype(table[column]) for column in table.columns]
    _print_rows([table.index.name or "", *map(str, table.columns)], table.itertuples(), [False, *numeric], title)


def _print_rows(header, rows, is_number, title=""):
    """Print rows as a table on stdout; columns of numbers are aligned to the right."""
    from rich.console import Console
    from rich.table import Table as RichTable

    printed = RichTable(title=_in_lines(title), title_justify="left", title_style="bold")
    for name, right in zip(header, is_number, strict=True):
        printed.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        printed.add_row(*(f"{value:.3f}" if isinstance(value, float) else _in_lines(value) for value in row))
    with _printing():
        width = shutil.get_terminal_size().columns  # COLUMNS=0 means that nobody knows
        Console(markup=False, emoji=False, width=width).print(printed)  # brackets and colons in a name mean themselves


def _in_lines(value):
    return "\n".join(map(settings.printable, str(value).split("\n")))


def _announce(corpus, folder):
    what = " (synthetic speech)" if (Path(folder) / "SYNTHETIC.json").is_file() else ""
    _say(f"profile {settings.current().profile}; {corpus} from {folder}{what}")


def _indexed(name, csv, data=None):
    """Return the index table that a request means, and the folder of its recordings."""
    from . import index

    if csv is None and name is None:
        raise ValueError("no corpus is named; say which with -n NAME, or give an index table with -p CSV")
    if csv is None:
        table = index.load(name, progress=sys.stderr.isatty())
    else:
        table = index.read(csv)
        found = sorted(table["corpus"].unique())
        if name is not None and found != [corpora.get(name).id]:
            raise ValueError(
                f"{csv} is a table of {', '.join(found)}, not of {corpora.get(name).id}; name one or the other"
            )
    folder = data or index.root_of(table)
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; expected the one that holds {table['corpus'].iloc[0]}")
    _announce(table["corpus"].iloc[0], folder)
    return table, folder


@app.callback(invoke_without_command=True)
def overview(context: typer.Context):
    """Speech emotion recognition on seven corpora: index, train, evaluate, predict."""
    if context.invoked_subcommand:
        return
    here = settings.current()
    _print(f"serlib {__version__}, Python {platform.python_version()}; profile {here.profile}")
    found, absent = {}, "made when first used" if here.profile == "tiny" else f"not in {here.data}"
    own, mistakes = corpora.own_in(here.data)
    for name in (*corpora.NAMES, *own):
        try:
            if folder := corpora.find_folder(here.data, name):
                found[name] = folder
            _print(f"  {name:8} {folder or absent}")
        except ValueError as error:
            _print(f"  {error}")
    for mistake in mistakes.values():
        _print(f"  {mistake}")
    if here.profile == "tiny":
        _print(
            "Next: python -m serlib train -n emodb -a -c   (synthetic speech; SERLIB_PROFILE=full uses your corpora)"
        )
    elif found:
        _print(f"Next: python -m serlib index -n {next(iter(found))}")
    else:
        _print(f"Next: python -m serlib download emodb   (into {here.data})")


@app.command("doctor")
def doctor_command(
    path: Folder = None,
    name: CorpusName = None,
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes only, not contents.")] = False,
    as_json: AsJson = False,
):
    """Compare a copy of a corpus with what was published, file by file."""
    from . import doctor, index

    if path is None and name is None:
        raise ValueError("nothing to look at; give a folder with -d PATH, a corpus with -n NAME, or both")
    folder = path or index.corpus_folder(name)
    _announce(name or "a corpus", folder)
    report = doctor.examine(folder, name, quick=quick, progress=sys.stderr.isatty())
    if as_json:
        _print_json(report.to_dict())
    else:
        _print_report(report)
    return 0 if report.ok else 1


def _print_report(report):
    """Print the findings of `doctor` by kind, with the first of each, and the verdict."""
    if report.findings:
        table = report.table()
        what = table["first"] + ": " + table["found"] + "; expected " + table["expected"] + ".\nNext: " + table["next"]
        _print_table(table[["n"]].assign(**{"the first, and what to do": what}), "")
    _print(report.verdict)


@app.command("index")
def index_command(
    path: Folder = None,
    name: CorpusName = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The table to write.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Draws the random part.")] = settings.SEED,
    label_version: Annotated[str | None, typer.Option("--labels", help="Which version of the labels to take.")] = None,
    keep_flagged: Annotated[
        bool, typer.Option("--keep-flagged", help="Give defective utterances a part all the same.")
    ] = False,
    as_json: AsJson = False,
):
    """Write a corpus's index table, with its random 80/20 part."""
    from . import index

    if path is None and name is None:
        raise ValueError(f"no corpus is named; say which with -n NAME ({', '.join(corpora.NAMES)})")
    passport = corpora.get(name) if path is None else index.passport_of(path, name)
    csv = output or index.table_file(passport, label_version=label_version, seed=seed, keep_flagged=keep_flagged)
    if csv.suffix != ".csv":
        raise ValueError(f"{csv} does not end in .csv; name the table so")
    folder = path or index.corpus_folder(passport)
    _announce(passport.id, folder)
    table = index.scan(
        folder,
        passport,
        seed=seed,
        label_version=label_version,
        keep_flagged=keep_flagged,
        progress=sys.stderr.isatty(),
    )
    index.write(table, csv)
    for problem in table.attrs["problems"]:
        _say(problem)
    for dropped in table.attrs["dropped"]:
        _say(f"kept out: {dropped['utterance']} ({dropped['flags']})")
    used, parts = table[table["part"] != ""], index.parts(table)
    if as_json:
        _print_json(
            {
                "corpus": passport.id,
                "csv": str(csv),
                "n_utterances": len(used),
                "n_speakers": int(used["speaker"].nunique()),
                "by_emotion": {emotion: int(n) for emotion, n in parts["total"].drop("all").items()},
                "parts": {part: int(parts.loc["all", part]) for part in ("train", "test")},
                "dropped": len(table.attrs["dropped"]),
                "problems": table.attrs["problems"],
            }
        )
    else:
        _print_table(parts, f"{passport.title}: {used['speaker'].nunique()} speakers")
        _print(csv)


@app.command("download")
def download_command(
    name: Annotated[str, typer.Argument(help="The corpus, by its name.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where the corpora lie; by default SERLIB_DATA or datasets/.")
    ] = None,
):
    """Fetch a corpus, or say how a person gets it; then compare it with what was published."""
    from . import doctor, download

    passport, data = corpora.get(name), output or settings.current("full").data
    _announce(passport.id, f"the net, into {data}")
    if "steps" in passport.download:
        _print(*download.instructions(passport, data))
        folder = corpora.find_folder(data, passport)
        if folder is None:
            return 1
        report = doctor.examine(folder, passport, progress=sys.stderr.isatty())
    else:
        report = download.fetch(passport, data, progress=sys.stderr.isatty())
    _print_report(report)
    _print(report.folder)
    return 0 if report.ok else 1


@app.command()
def train(
    name: Corpus = None,
    csv: Table = None,
    recipe: RecipeName = "paper",
    epochs: Epochs = None,
    seed: Seed = settings.SEED,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The bundle to write.")] = None,
    data: Data = None,
    verify: Verify = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was interrupted, from BUNDLE.partial.")
    ] = False,
    curves: Annotated[bool, typer.Option("-a", "--show_accuracy", help="Draw the learning curves.")] = False,
    matrix: Annotated[bool, typer.Option("-c", "--plot_confusion", help="Draw the confusion matrix.")] = False,
    _load: Annotated[bool, typer.Option("-l", "--load_data", hidden=True)] = False,
    _save: Annotated[bool, typer.Option("-s", "--save_model", hidden=True)] = False,
    as_json: AsJson = False,
):
    """Fit a model on a corpus's training part, score it on the test part, save it as a bundle."""
    chosen = settings.recipe(recipe)
    table, folder = _indexed(name, csv, data)
    from . import evaluate, features, model, split

    bundle = output or settings.current().models / f"{table['corpus'].iloc[0]}-{recipe}"
    model.refuse_place(bundle)  # before any work
    started = time.perf_counter()
    corpus, epochs = table["corpus"].iloc[0], evaluate.epochs_for(table, chosen, epochs)
    parts = split.from_parts(table)
    progress = sys.stderr.isatty()
    X = features.extract(parts.table, features=chosen.features, root=folder, verify=verify, progress=progress)
    partial = model.partial_of(bundle)
    if not resume:
        model.forget(partial)
    fold = evaluate.fit_fold(parts, X, recipe=chosen, epochs=epochs, seed=seed, partial=partial, progress=progress)
    summary = evaluate.summary(fold.predictions)
    contract = evaluate.contract(fold, parts, X=X, recipe=chosen)
    model.save(bundle, fold.network, fold.history, contract)
    model.forget(partial)
    files = _training_figures(bundle, contract, fold, curves, matrix)
    document = {
        "corpus": corpus,
        "protocol": parts.protocol,
        "recipe": recipe,
        "bundle": str(bundle),
        "n_train": fold.n_train,
        "n_test": len(fold.predictions),
        "epochs": epochs,
        "seconds": round(time.perf_counter() - started, 1),
        "accuracy": summary["accuracy"],
        "uar": summary["uar"],
        "files": [str(file) for file in files],
    }
    if as_json:
        _print_json(document)
        return
    _print(f"{corpus}, {recipe}, {epochs} epochs, {document['seconds']} s; validation curve from {fold.validation}")
    _print(
        f"{parts.protocol} split (speakers on both sides), {fold.n_train} utterances trained on, {summary['n']} tested:"
    )
    _print(f"UAR {summary['uar']:.3f}, chance {summary['chance']:.3f}; {_accuracy(fold.predictions)}")
    for file in (bundle, *files):
        _print(file)


def _accuracy(predictions):
    """Say the accuracy beside that of always naming the commonest emotion."""
    from . import evaluate

    commonest = evaluate.majority_rate(predictions)
    return f"accuracy {evaluate.accuracy(predictions):.3f}, always the commonest emotion {commonest:.3f}"


def _training_figures(bundle, contract, fold, curves, matrix):
    """Draw what was asked for into the bundle's folder; return the files."""
    if not (curves or matrix):
        return []
    from . import figures

    about = {"corpus": contract.corpus, "protocol": contract.split["protocol"], "recipe": contract.recipe.name}
    about |= {"seed": contract.seed, "synthetic": contract.synthetic}
    files = []
    if curves:
        name = "test" if fold.validation == "test" else "validation"
        axes = figures.draw_history(fold.history, validation=name)
        files.append(figures.save(axes[0].figure, bundle / "learning-curves.png", about=about))
    if matrix:
        ax = figures.draw_confusion(fold.predictions)
        files.append(figures.save(ax.figure, bundle / "confusion.png", about=about))
    return files


@app.command("evaluate")
def evaluate_command(
    name: Corpus = None,
    csv: Table = None,
    protocol: Annotated[
        str | None, typer.Option(help="random, speakers (default), loso, sentences or cross-corpus.")
    ] = None,
    folds: Annotated[int | None, typer.Option(help="By default as many as the protocol has.")] = None,
    recipe: RecipeName = "paper",
    epochs: Epochs = None,
    seed: Seed = settings.SEED,
    test_on: Annotated[str | None, typer.Option(help="Another corpus to test on (cross-corpus).")] = None,
    normalise: Annotated[
        str | None, typer.Option(help="'speaker': standardise each speaker's vectors by his own; another protocol.")
    ] = None,
    into: Annotated[Path | None, typer.Option(help="A bundle that is told its score on unseen speakers.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The predictions table to write.")] = None,
    data: Data = None,
    verify: Verify = False,
    as_json: AsJson = False,
):
    """Score a recipe on a corpus by a protocol; by default on unseen speakers."""
    chosen = settings.recipe(recipe)
    protocol = protocol or ("cross-corpus" if test_on else "speakers")
    if test_on and protocol != "cross-corpus":
        raise ValueError(f"--test-on goes with the protocol cross-corpus, not {protocol}; leave one of them out")
    table, folder = _indexed(name, csv, data)
    from . import evaluate, model

    corpus, roots, test_table = table["corpus"].iloc[0], {table["corpus"].iloc[0]: folder}, None
    called = f"{protocol}-normalised" if normalise else protocol
    epochs = evaluate.epochs_for(table, chosen, epochs)
    if into is not None:  # before any work
        if not into.exists() and str(into) in model.shipped():
            raise ValueError(f"{into} comes with serlib, and is told nothing; name a bundle of your own")
        bundle = model.read_contract(into)
        settings.refuse_place(into / "bundle.json", into / "MODEL_CARD.md")
        synthetic = bool(table.attrs.get("synthetic"))
        evaluate.refuse_to_tell(
            bundle, corpus=corpus, synthetic=synthetic, recipe=chosen, epochs=epochs, protocol=called
        )
    kept_as = f"{called}-{corpora.get(test_on).id}" if test_on else called
    file = output or evaluate.result_file(settings.current().runs, corpus, recipe, kept_as, seed)
    evaluate.refuse_place(file)  # likewise
    if test_on:
        test_table, roots[corpora.get(test_on).id] = _indexed(test_on, None)
    result = evaluate.run(
        table,
        protocol=protocol,
        n_folds=folds,
        test_table=test_table,
        recipe=chosen,
        normalise=normalise,
        epochs=epochs,
        seed=seed,
        n_jobs=-1,
        roots=roots,
        folder=settings.current().runs / "folds",
        verify=verify,
        progress=sys.stderr.isatty(),
    )
    summary = evaluate.summary(result.predictions)
    evaluate.write(result, file)
    if into is not None:
        evaluate.tell(into, result)
    leaks = ", ".join(f"{leak['n']:,} {leak['kind']}" for leak in result.about["leaks"])
    audited = f"audit: tested utterances of {summary['n']:,} with their like in training, by kind: {leaks}"
    if as_json:
        _say(audited)
        _print_json(summary)
        return
    what = f"synthetic {corpus}" if result.about["synthetic"] else corpus
    _print_table(evaluate.per_emotion(result.predictions), f"{what}, {recipe}, {called}: {summary['n_folds']} folds")
    interval = summary["uar_ci95"]
    spread = (
        f"95 % interval over speakers {interval[0]:.3f} to {interval[1]:.3f}"
        if interval
        else "no interval: < 6 speakers"
    )
    _print(f"UAR {summary['uar']:.3f} ({spread}), chance {summary['chance']:.3f}")
    _print(f"{_accuracy(result.predictions)}; {summary['n']} utterances")
    _print(audited)
    _print(file)


@app.command("audit")
def audit_command(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="Split files: CSV, TSV, JSON or lists.")],
    name: CorpusName = None,
    as_json: AsJson = False,
):
    """Look for leaks in anybody's split files: speakers, recordings and takes that are trained on and tested."""
    from . import audit

    report = audit.examine(audit.read(tables, corpus=name))
    if as_json:
        _print_json(report.to_dict())
    else:
        _print_table(report.parts.set_index("part"), "")
        if len(report.findings):
            _print_table(report.table(), "")
        _print(*report.verdicts)
    return 0 if report.ok else 1


@app.command()
def predict(
    bundle: Annotated[
        Path, typer.Option("-m", "--model", help="The bundle: its folder, or emodb-paper, which comes with serlib.")
    ],
    paths: Annotated[list[Path] | None, typer.Argument(help="Sound files, or folders of them.")] = None,
    more: Annotated[list[Path] | None, typer.Option("-p", "--path", help="The same, as often as you like.")] = None,
    as_json: AsJson = False,
):
    """Say what recordings sound like: the emotion, and the probability of each."""
    from . import model
    from . import predict as predicting

    wanted = [*(paths or []), *(more or [])]
    if not wanted:
        raise ValueError("no recording is named; give sound files or folders of them")
    predictor = predicting.Predictor(bundle)
    contract = predictor.contract
    what = " (synthetic speech)" if contract.synthetic else ""
    _say(f"profile {settings.current().profile}; {contract.recipe.name} model of {contract.corpus}{what} from {bundle}")
    _say(model.trust(contract))
    heard = predictor.hear_all(wanted, progress=sys.stderr.isatty())
    for one in heard:
        for line in [one["error"]] if "error" in one else [f"{one['path']}: {warning}" for warning in one["warnings"]]:
            _say(line)
    good = [one for one in heard if "error" not in one]
    if as_json:
        _print_json(heard)
    elif good:
        rows = [(settings.printable(one["path"]), one["emotion"], _in_words(one["probabilities"])) for one in good]
        _print_rows(["path", "emotion", "probabilities"], rows, [False] * 3)
    return 0 if len(good) == len(heard) else 1


def _in_words(probabilities):
    """Name all probabilities, the largest first."""
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])
    return ", ".join(f"{emotion} {p:.3f}" for emotion, p in ranked)


@app.command("synthetic")
def synthetic_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write into.")],
    seed: Seed = settings.SEED,
):
    """Write small corpora of synthetic speech, in the layouts of the seven corpora."""
    from . import synthetic

    for name in corpora.NAMES:
        _print(synthetic.write(name, output, seed=seed))


@app.command("figures")
def figures_command(
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The folder to write into.")] = None,
    name: Annotated[str, typer.Option("-n", "--name", help="The corpus to draw.")] = "emodb",
):
    """Draw every figure of the README."""
    from . import figures

    _indexed(name, None)
    for file in figures.readme(output or settings.current().figures, corpus=name):
        _print(file)


@app.command("cache")
def cache_command(
    clear: Annotated[bool, typer.Option("--clear", help="Forget everything that was computed.")] = False,
    as_json: AsJson = False,
):
    """Say what is kept of earlier computations, and where; or forget it."""
    from . import cache

    if clear:
        cache.clear()
    said = cache.summary()
    if as_json:
        _print_json(said)
    else:
        _print(
            f"{said['n_vectors']:,} vectors and {said['n_contents']:,} hashes of files, {said['bytes'] / 1e6:.1f} MB"
        )
        _print(said["file"])
