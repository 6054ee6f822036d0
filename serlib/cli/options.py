"""The options that commands share, and the index table that a request means."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .. import corpora, settings
from .printing import say

MAX_SEED = 2**32 - 1  # NumPy's and scikit-learn's

app = typer.Typer(
    name="serlib",
    help="Speech emotion recognition on seven corpora.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Corpora = Annotated[
    list[str] | None,
    typer.Option("-n", "-d", "--name", "--dataset_name", help="Name of a corpus; give the option again for more."),
]
CorpusName = Annotated[str | None, typer.Option("-n", "--name", "--dataset_name", help="Name of the corpus.")]
Folder = Annotated[Path | None, typer.Option("-d", "--dataset", help="Folder of the corpus.")]
Table = Annotated[Path | None, typer.Option("-p", "--csv", help="Index table that 'index' wrote.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder that the table's paths start from.")]
RecipeName = Annotated[
    str, typer.Option("--recipe", help="Features+classifier, or a name; 'serlib recipes' lists both.")
]
Balanced = Annotated[bool, typer.Option("--balanced", help="Weight rare emotions more in training.")]
Epochs = Annotated[
    int | None, typer.Option("--epochs", help="Epochs of training; default: the recipe's, fewer for synthetic speech.")
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=MAX_SEED, help="Seed of folds, weights and batches.")]
Verify = Annotated[bool, typer.Option("--verify", help="Check every file's content, not only size and date.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document only.")]


Mapping = Annotated[
    list[str] | None, typer.Option("--map", help="Rename or merge an emotion: calm=neutral; may be repeated.")
]
Only = Annotated[str | None, typer.Option("--only", help="Emotions to keep: anger,neutral.")]
TestSpeakers = Annotated[
    str | None, typer.Option("--test-speakers", help="Speakers to test: 03,08; the others are for training.")
]
ByGender = Annotated[bool, typer.Option("--by-gender", help="Separate classes for female and male voices.")]


def announce(corpus, folder):
    what = " (synthetic speech)" if (Path(folder) / "SYNTHETIC.json").is_file() else ""
    say(f"profile {settings.current().profile}; {corpus} from {folder}{what}")


def relabelling(mapping, only, by_gender):
    """Return what the options ask of `index.relabel`; nothing where they ask for nothing."""
    pairs = [word.partition("=") for word in mapping or ()]
    if bad := ["".join(pair) for pair in pairs if not pair[0] or not pair[2]]:
        raise ValueError(f"--map {bad[0]} does not say what becomes of an emotion; expected one as calm=neutral")
    kept = None if only is None else [word.strip() for word in only.split(",")]
    asked = {"mapping": {old.strip(): new.strip() for old, _, new in pairs}, "only": kept, "by_gender": by_gender}
    return asked if any(asked.values()) else {}


def indexed(names, csv, data=None, relabel=None, test_speakers=None):
    """Return the index table that a request means, and the folder of each corpus's recordings."""
    from .. import index

    if csv is None and not names:
        raise ValueError("no corpus is named; say which with -n NAME, or give an index table with -p CSV")
    wanted = [corpora.get(name).id for name in names or ()]
    if csv is None:
        table = index.join([index.load(name, progress=sys.stderr.isatty()) for name in wanted])
    else:
        table = index.read(csv)
        if wanted and set(wanted) != set(index.names(table)):
            found, named = ", ".join(index.names(table)), ", ".join(wanted)
            raise ValueError(f"{csv} is a table of {found}, not of {named}; name one or the other")
    if "edited" in table.attrs:
        say(table.attrs["edited"])
    roots = {corpus: index.root_of(table, corpus, data) for corpus in index.names(table)}
    for corpus, folder in roots.items():
        if not Path(folder).is_dir():
            raise FileNotFoundError(
                f"{folder} is not a folder; expected the one that holds {corpus}. Give it with --data"
            )
        announce(corpus, folder)
    table = index.relabel(table, **relabel) if relabel else table
    if test_speakers is not None:
        table = index.hold_out(table, [name.strip() for name in test_speakers.split(",")])
    return table, roots
