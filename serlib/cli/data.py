"""Commands on recordings and tables: overview, doctor, index, download, audit, synthetic, cache."""

import platform
import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__, corpora, settings
from .options import MAX_SEED, AsJson, CorpusName, Folder, Seed, announce, app
from .printing import print_json, print_lines, print_table, say


@app.callback(invoke_without_command=True)
def overview(context: typer.Context):
    """Speech emotion recognition on seven corpora: index, train, evaluate, predict."""
    if context.invoked_subcommand:
        return
    here = settings.current()
    print_lines(f"serlib {__version__}, Python {platform.python_version()}; profile {here.profile}")
    is_there = "not in" if here.data.is_dir() else "SERLIB_DATA is not there:"
    found, absent = {}, "made when first used" if here.profile == "tiny" else f"{is_there} {here.data}"
    own, mistakes = corpora.own_in(here.data)
    for name in (*corpora.NAMES, *own):
        try:
            if folder := corpora.find_folder(here.data, name):
                found[name] = folder
            print_lines(f"  {name:8} {folder or absent}")
        except ValueError as error:
            print_lines(f"  {error}")
    for mistake in mistakes.values():
        print_lines(f"  {mistake}")
    if here.profile == "tiny":
        print_lines(
            "Next: python -m serlib train -n emodb -a -c   (synthetic speech; SERLIB_PROFILE=full uses your corpora)"
        )
    elif found:
        print_lines(f"Next: python -m serlib index -n {next(iter(found))}")
    else:
        print_lines(f"Next: python -m serlib download emodb   (into {here.data})")


@app.command("doctor")
def doctor_command(
    path: Folder = None,
    name: CorpusName = None,
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes only, not contents.")] = False,
    as_json: AsJson = False,
):
    """Compare a copy of a corpus with what was published, file by file."""
    from .. import doctor, index

    if path is None and name is None:
        raise ValueError("nothing to look at; give a folder with -d PATH, a corpus with -n NAME, or both")
    folder = index.corpus_folder(name) if path is None else _copy_in(path, name)
    announce(name or "a corpus", folder)
    report = doctor.compare_copy(folder, name, quick=quick, progress=sys.stderr.isatty())
    if as_json:
        print_json(report.to_dict())
    else:
        _print_report(report)
    return 0 if report.ok else 1


def _copy_in(path, name):
    """Return the folder to look at: `path`, or, where it holds several corpora, the one that is named."""
    held = corpora.find_all(path)
    if len(held) < 2:
        return path
    if name is None:
        raise ValueError(f"{path} holds several corpora ({', '.join(held)}); name one with -n, or its folder with -d")
    return held.get(corpora.get(name).id, path)


def _print_report(report):
    """Print the findings of `doctor` by kind, with the first of each, and the verdict."""
    if report.findings:
        table = report.table()
        what = table["first"] + ": " + table["found"] + "; expected " + table["expected"] + ".\nNext: " + table["next"]
        print_table(table[["n"]].assign(**{"the first, and what to do": what}), "")
    print_lines(report.verdict)


@app.command("index")
def index_command(
    path: Folder = None,
    name: CorpusName = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Table to write.")] = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=MAX_SEED, help="Seed of the random test part.")
    ] = settings.SEED,
    label_version: Annotated[
        str | None, typer.Option("--labels", help="Version of the labels, where a corpus has several.")
    ] = None,
    keep_flagged: Annotated[
        bool, typer.Option("--keep-flagged", help="Keep defective utterances in training and test.")
    ] = False,
    as_json: AsJson = False,
):
    """Write the index table of a corpus: a row per utterance, with a random 80/20 part."""
    from .. import index

    if path is None and name is None:
        raise ValueError(f"no corpus is named; say which with -n NAME ({', '.join(corpora.NAMES)})")
    passport = corpora.get(name) if path is None else index.passport_of(path, name)
    csv = output or index.table_file(passport, label_version=label_version, seed=seed, keep_flagged=keep_flagged)
    if csv.suffix != ".csv":
        raise ValueError(f"{csv} does not end in .csv; name the table so")
    folder = path or index.corpus_folder(passport)
    announce(passport.id, folder)
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
        say(problem)
    for dropped in table.attrs["dropped"]:
        say(f"kept out: {dropped['utterance']} ({dropped['flags']})")
    used, parts = table[table["part"] != ""], index.parts(table)
    if as_json:
        print_json(
            {
                "corpus": passport.id,
                "csv": str(csv),
                "n_utterances": len(used),
                "n_speakers": int(used["speaker"].nunique()),
                "by_emotion": {emotion: int(n) for emotion, n in parts["total"].drop("all").items()},
                "parts": {part: int(n) for part, n in parts.loc["all"].drop("total").items()},
                "dropped": len(table.attrs["dropped"]),
                "problems": table.attrs["problems"],
            }
        )
    else:
        print_table(parts, f"{passport.title}: {used['speaker'].nunique()} speakers")
        print_lines(csv)


@app.command("download")
def download_command(
    name: Annotated[str, typer.Argument(help="Name of a corpus or a speech encoder.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the corpora; default: SERLIB_DATA or datasets/.")
    ] = None,
):
    """Download a corpus, or the weights of a speech encoder, and verify it; or say how a person gets it."""
    from .. import doctor, download, weights

    if name in weights.KNOWN:
        wanted = weights.KNOWN[name]
        say(f"{name}: {wanted.n_bytes / 1e6:.0f} MB, licence {wanted.licence}, into {settings.weights_folder()}")
        print_lines(download.fetch_weights(name, progress=sys.stderr.isatty()))
        return 0
    passport, data = corpora.get(name), output or settings.current("full").data
    announce(passport.id, f"the internet, into {data}")
    if "steps" in passport.download:
        print_lines(*download.instructions(passport, data))
        folder = corpora.find_folder(data, passport)
        if folder is None:
            return 1
        report = doctor.compare_copy(folder, passport, progress=sys.stderr.isatty())
    else:
        report = download.fetch(passport, data, progress=sys.stderr.isatty())
    _print_report(report)
    print_lines(report.folder)
    return 0 if report.ok else 1


@app.command("audit")
def audit_command(
    tables: Annotated[list[Path], typer.Argument(metavar="TABLE...", help="Split files: CSV, TSV, JSON or lists.")],
    name: CorpusName = None,
    as_json: AsJson = False,
):
    """Find speakers, recordings and takes that are in both training and test of split files."""
    from .. import audit

    report = audit.find_leaks(audit.read(tables, corpus=name))
    if as_json:
        print_json(report.to_dict())
    else:
        print_table(report.parts.set_index("part"), "")
        if len(report.findings):
            print_table(report.table(), "")
        print_lines(*report.verdicts)
    return 0 if report.ok else 1


@app.command("synthetic")
def synthetic_command(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write into.")],
    seed: Seed = settings.SEED,
):
    """Write small corpora of synthetic speech, in the layouts of the seven corpora."""
    from .. import synthetic

    for name in corpora.NAMES:
        print_lines(synthetic.write(name, output, seed=seed))


@app.command("cache")
def cache_command(
    clear: Annotated[bool, typer.Option("--clear", help="Empty the cache.")] = False,
    as_json: AsJson = False,
):
    """Show the place and size of the cache, or empty it."""
    from .. import cache

    if clear:
        cache.clear()
    said = cache.summary()
    if as_json:
        print_json(said)
    else:
        print_lines(
            f"{said['n_vectors']:,} vectors and {said['n_contents']:,} hashes of files, {said['bytes'] / 1e6:.1f} MB"
        )
        print_lines(said["file"])
