"""Index tables and recordings of the current profile: found, or made."""

import contextlib
from pathlib import Path

from .. import corpora, settings, synthetic
from ..settings import SEED
from .scanning import listing, scan
from .tables import names, read, sources, write


def load(corpus, *, label_version=None, progress=False):
    """Return a corpus's index table in the current profile, indexing the corpus unless the table at hand is up to date.

    Parameters
    ----------
    corpus : str
        The corpus's name.
    label_version : str, optional
        As for `scan`.
    progress : bool

    Returns
    -------
    DataFrame
        As `scan` returns it, also stored under the profile's ``csv`` folder.

    Raises
    ------
    FileNotFoundError
        If the profile is ``full`` and the corpus is not under its data folder.

    Examples
    --------
    >>> from serlib import index
    >>> table = index.load("emodb")
    >>> table.loc[0, ["utterance", "speaker", "emotion", "part"]].tolist()
    ['emodb/03a01Fa', 'emodb/03', 'happiness', 'train']
    """
    passport, here = corpora.get(corpus), settings.current()
    folder = corpus_folder(passport.id)
    csv = table_file(passport, label_version=label_version)
    now = {"folder": str(folder.resolve()), "listing": listing(folder), "seed": here.seed, "keep_flagged": False}
    with contextlib.suppress(FileNotFoundError, ValueError):  # a damaged one is made again
        if (table := read(csv)).attrs.items() >= now.items():
            return table
    table = scan(folder, passport, seed=here.seed, label_version=label_version, progress=progress)
    write(table, csv)
    return table


def table_file(corpus, *, label_version=None, seed=SEED, keep_flagged=False):
    """Return where the current profile keeps a corpus's index table: another file for whatever is not the default.

    Examples
    --------
    >>> from serlib import index
    >>> index.table_file("emodb").name
    'emodb.csv'
    """
    passport = corpora.get(corpus)
    name = passport.id
    if label_version not in (None, next(iter(passport.label_versions))):
        name += f"-{label_version}"
    name += f"-seed-{seed}" if seed != SEED else ""
    name += "-keep-flagged" if keep_flagged else ""
    return settings.current().csv / f"{name}.csv"


def at_hand(names=None):
    """Index the corpora at hand in the current profile.

    Parameters
    ----------
    names : sequence of str, optional
        The corpora to look for; by default the seven, and those of your own that lie beside them.

    Returns
    -------
    tables : dict of str to DataFrame
        Index tables by corpus id.
    missing : dict of str to str
        Why the others could not be indexed, and what to do.

    Examples
    --------
    >>> from serlib import index
    >>> tables, missing = index.at_hand(["emodb"])
    >>> list(tables), missing
    (['emodb'], {})
    """
    own, missing = ({}, {}) if names else corpora.own_in(settings.current().data)
    tables = {}
    for name in names or (*corpora.NAMES, *own):
        try:
            tables[name] = load(name)
        except (FileNotFoundError, ValueError) as error:
            missing[name] = str(error)
    return tables, missing


def first_at_hand(preferred="emodb"):
    """Return the index table of the preferred corpus, or of the first of the others that is at hand.

    Raises
    ------
    FileNotFoundError
        If there is none; the message says how to get the preferred one.

    Examples
    --------
    >>> from serlib import index
    >>> index.first_at_hand().attrs["corpus"]
    'emodb'
    """
    why = {}
    for name in (preferred, *corpora.NAMES):
        tables, missing = at_hand([name])
        if tables:
            return tables[name]
        why |= missing
    raise FileNotFoundError(f"no corpus is at hand. {why[preferred]}")


def corpus_folder(corpus):
    """Return a corpus's folder in the current profile; in ``tiny``, synthetic speech is written there first.

    Raises
    ------
    FileNotFoundError
        If the profile is ``full`` and the corpus is not under its data folder.

    Examples
    --------
    >>> from serlib import index
    >>> index.corpus_folder("emodb").name
    'EMODB'
    """
    passport, here = corpora.get(corpus), settings.current()
    if here.profile == "tiny" and not passport.home:
        return synthetic.write(passport.id, here.data)
    if not here.data.is_dir():
        raise FileNotFoundError(
            f"{here.data}, where corpora are looked for, is not a folder; expected the one that holds"
            f" {passport.folder}. Point SERLIB_DATA at it"
        )
    if (folder := corpora.find_folder(here.data, passport)) is None:
        raise FileNotFoundError(
            f"{passport.id}: no folder {passport.folder!r} in {settings.short(here.data)}. {passport.how_to_get} Or"
            " index the folder that holds it ('index -d FOLDER'), and use that table ('-p CSV')"
        )
    return folder


def root_of(table, corpus=None, root=None):
    """Return the folder that the paths of a table's corpus are relative to: as said, as indexed, or where it now is.

    Parameters
    ----------
    table : DataFrame
    corpus : str, optional
        One of its corpora's ids; needless where it has one.
    root : path-like, or dict of str to path-like, optional
        Where the recordings are, or where those of each corpus are.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If nothing is there.
    ValueError
        If the table has several corpora, and `corpus` or the folder of each is not given.

    Examples
    --------
    >>> from serlib import index
    >>> table = index.load("emodb")
    >>> (index.root_of(table) / table.loc[0, "path"]).is_file()
    True
    """
    found = names(table)
    if corpus is None and len(found) > 1:
        raise ValueError(f"the table holds {', '.join(found)}; expected one corpus. Say which: root_of(table, corpus)")
    corpus = corpus or found[0]
    if isinstance(root, dict):
        root = root.get(corpus)
    elif root is not None and len(found) > 1:
        raise ValueError(f"the table holds {', '.join(found)}, and one folder is given; expected {{corpus: folder}}")
    if root is not None:
        return Path(root)
    folder = sources(table)[corpus].get("folder")
    if folder and Path(folder).is_dir():
        return Path(folder)
    try:
        return corpus_folder(corpus)
    except ValueError:  # one of your own, which is declared where it was
        found = f"{settings.short(Path(folder or ''))}, where the recordings of {corpus} were, is gone"
        raise FileNotFoundError(
            f"{found}; expected them there. Say where they are with --data, or index them again"
        ) from None


def is_synthetic(table):
    """Return whether any recording of a table is synthetic speech.

    Examples
    --------
    >>> from serlib import index
    >>> index.is_synthetic(index.load("emodb"))
    True
    """
    if "synthetic" in table.attrs:
        return bool(table.attrs["synthetic"])
    return any(synthetic.read_marker(root_of(table, name)) is not None for name in names(table))
