"""The corpora, declared as data: a passport ``<id>.toml`` and a manifest ``<id>.csv.gz`` each, and what reads them.

A passport holds what was published about a corpus: how its files are named, what the codes mean, who speaks, how
many utterances there are, which recordings are known to be broken and what to do about them, which versions of the
labels there are, and where all this is stated. The manifest lists the published files: path, and, but for ShEMO, size
in bytes and SHA-256. ``<id>-labels.csv.gz`` holds further versions of the labels.

A corpus of your own is one more passport, ``passport.toml``, or a table ``utterances.csv`` with the columns ``path``,
``emotion`` and ``speaker``, in the folder that holds the recordings.
"""

from pathlib import Path

from .. import settings
from . import reading
from .passport import MAX_AGE, MAX_SECONDS, NO_SPEAKER, Defect, Names, Parsed, Passport, Speaker
from .reading import COLUMN_WORDS, NAMES, SEPARATORS, declared, leads_out

__all__ = ["COLUMN_WORDS", "MAX_AGE", "MAX_SECONDS", "NAMES", "NO_SPEAKER", "Defect", "Names", "Parsed", "Passport"]
__all__ += [
    "SEPARATORS",
    "Speaker",
    "declared",
    "find_all",
    "find_folder",
    "get",
    "is_called",
    "leads_out",
    "listener_uar",
]
__all__ += ["overview", "own", "own_in", "short_title"]

OWN_PASSPORT, OWN_TABLE = "passport.toml", "utterances.csv"


def own(folder):
    """Return the passport that lies in a folder: of a corpus of your own.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    Passport or None
        None if the folder holds neither ``passport.toml`` nor ``utterances.csv``.

    Raises
    ------
    ValueError
        If there is a mistake in it; the message says in which line, what was found and what was expected.

    Examples
    --------
    >>> from pathlib import Path
    >>> import pandas as pd
    >>> from serlib import corpora
    >>> Path("interviews").mkdir(exist_ok=True)
    >>> rows = pd.DataFrame({"path": ["a.wav", "b.wav"], "emotion": ["anger", "hopeful"], "speaker": ["anna", "ben"]})
    >>> rows.to_csv("interviews/utterances.csv", index=False)
    >>> corpora.own("interviews").emotions
    ('anger', 'hopeful')
    """
    folder = Path(folder)
    if (file := folder / OWN_PASSPORT).is_file():
        return reading.from_toml(file, home=folder)
    if (file := folder / OWN_TABLE).is_file():
        return reading.from_table(file)
    return None


def own_in(data):
    """Find the corpora of your own among the folders in `data`.

    Returns
    -------
    passports : dict of str to Passport
        By id.
    mistakes : dict of str to str
        What is wrong with the others, by folder name: a mistake in a passport, or an id that is taken.
    """
    passports, mistakes = {}, {}
    for folder in sorted(Path(data).iterdir()) if Path(data).is_dir() else ():
        try:
            passport = own(folder) if folder.is_dir() and not any(is_called(folder, name) for name in NAMES) else None
        except (OSError, ValueError) as error:
            mistakes[folder.name] = str(error)
            continue
        if passport and (
            other := next((p for p in passports.values() if reading.plain(p.id) == reading.plain(passport.id)), None)
        ):
            both = f"{other.home.name!r} and {folder.name!r} in {data}"
            mistakes[folder.name] = (
                f"{passport.id}: the corpora in {both} have the same id; set another id in one of them"
            )
        elif passport:
            passports[passport.id] = passport
    return passports, mistakes


def get(name):
    """Return a corpus's passport.

    Parameters
    ----------
    name : str or Passport
        The id, as people write it: case, ``-`` and ``_`` do not matter; ``crema`` and ``berlin`` are understood. Or
        that of a corpus of your own, whose folder lies where the profile looks for corpora.

    Returns
    -------
    Passport

    Raises
    ------
    ValueError
        If no corpus is called so.

    Examples
    --------
    >>> get("CREMAD").id
    'crema-d'
    """
    if isinstance(name, Passport):
        return name
    if (passport := reading.shipped(name)) is not None:
        return passport
    passports, mistakes = own_in(settings.current().data)
    for corpus, passport in passports.items():
        if reading.plain(name) == reading.plain(corpus):
            return passport
    wrong = "".join(f". Not read: {mistake}" for mistake in mistakes.values())
    raise ValueError(f"corpus {name!r} is unknown; use one of {', '.join([*NAMES, *passports])}{wrong}")


def short_title(corpus):
    """Return a corpus's name as people write it: ``EMODB``; of a corpus of your own, its id.

    Examples
    --------
    >>> from serlib import corpora
    >>> corpora.short_title("emodb")
    'EMODB'
    """
    return reading.load(corpus).folder if corpus in NAMES else corpus


def listener_uar(names):
    """Return {corpus: UAR of its listeners} of those corpora for which it was published.

    Examples
    --------
    >>> from serlib import corpora
    >>> corpora.listener_uar(["emodb", "crema-d"])
    {'emodb': 0.93, 'crema-d': 0.407}
    """
    known = {name: get(name).listeners[:1] for name in dict.fromkeys(names)}
    return {name: test["uar"] for name, tests in known.items() for test in tests if "uar" in test}


def is_called(folder, name):
    """Return whether a folder is called like a corpus, in any of the spellings of its name.

    Examples
    --------
    >>> from pathlib import Path
    >>> from serlib import corpora
    >>> corpora.is_called(Path("datasets/Emo-DB"), "emodb")
    True
    """
    return reading.is_called(folder, get(name))


def find_folder(data, name):
    """Find a corpus's folder among those in `data`.

    Parameters
    ----------
    data : path-like
        Where the corpora lie.
    name : str or Passport
        A corpus's name.

    Returns
    -------
    Path or None
        None if no folder is called like the corpus.

    Raises
    ------
    ValueError
        If several are.

    Examples
    --------
    >>> from serlib import corpora, index, settings
    >>> folder = index.corpus_folder("emodb")
    >>> corpora.find_folder(settings.current().data, "emodb") == folder
    True
    """
    passport, data = get(name), Path(data)
    if passport.home:
        return passport.home
    folders = sorted(data.iterdir()) if data.is_dir() else []
    found = [folder for folder in folders if folder.is_dir() and is_called(folder, passport)]
    if len(found) > 1:
        names = ", ".join(repr(folder.name) for folder in found[:3])
        raise ValueError(
            f"{passport.id}: {len(found)} folders in {data} have its name ({names}); keep one, or name it with -d"
        )
    return found[0] if found else None


def find_all(data):
    """Return {corpus id: folder} of the corpora found in `data`: `NAMES` in their order, then your own.

    Examples
    --------
    >>> from serlib import corpora, index, settings
    >>> folder = index.corpus_folder("emodb")
    >>> corpora.find_all(settings.current().data)["emodb"] == folder
    True
    """
    found = {name: find_folder(data, name) for name in NAMES}
    found |= {name: passport.home for name, passport in own_in(data)[0].items()}
    return {name: folder for name, folder in found.items() if folder}


def overview():
    """Sum the passports up.

    Returns
    -------
    DataFrame, shape (n_corpora, 8)
        A row per corpus id: ``title``, ``language``, ``n_utterances``, ``n_speakers``, ``women``, ``emotions``,
        ``sample_rate_hz``, ``licence``; all as published.

    Examples
    --------
    >>> from serlib import corpora
    >>> int(corpora.overview().loc["emodb", "n_speakers"])
    10
    """
    import pandas as pd

    rows = [
        {
            "corpus": passport.id,
            "title": passport.title,
            "language": passport.language,
            "n_utterances": passport.n_utterances,
            "n_speakers": len(passport.speakers),
            "women": sum(speaker.gender == "female" for speaker in passport.speakers.values()),
            "emotions": ", ".join(passport.emotions),
            "sample_rate_hz": passport.sample_rate_hz,
            "licence": passport.licence,
        }
        for passport in map(get, NAMES)
    ]
    return pd.DataFrame(rows).set_index("corpus")
