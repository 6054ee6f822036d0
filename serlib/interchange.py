"""Index tables to and from audformat databases, the format of audb and nkululeko. Needs the extra ``audformat``."""

import re
from numbers import Real
from pathlib import Path, PurePosixPath

import pandas as pd

from . import corpora, index, labels, storage

SPLITS = {"train": "train", "validation": "dev", "test": "test"}  # our part -> audformat's type of split
NEEDED = "pip install 'serlib[audformat]'"


def to_audformat(table, folder):
    """Save an index table as an audformat database.

    The database has the tables ``files`` (speaker, sentence, take, intensity, duration, flags), ``emotion`` (of every
    utterance that has a label in the table's version), and ``emotion.train`` and ``emotion.test``. Paths are those of
    the index table: save it into the corpus's folder, where they hold, or use `audformat.Database.map_files`.

    Parameters
    ----------
    table : DataFrame
        An index table of one corpus.
    folder : path-like
        Where ``db.yaml`` and the tables are written.

    Returns
    -------
    audformat.Database

    Raises
    ------
    ImportError
        If audformat is not installed.

    Examples
    --------
    >>> from serlib import index, interchange
    >>> database = interchange.to_audformat(index.load("emodb"), "emodb-audformat")
    >>> sorted(database.tables)
    ['emotion', 'emotion.test', 'emotion.train', 'files']
    """
    audformat = _audformat()
    if len(corpora_named := index.names(table)) > 1:
        raise ValueError(f"the table holds {', '.join(corpora_named)}; a database holds one corpus. Write one for each")
    corpus = corpora_named[0]
    if table.attrs.get("synthetic"):
        about = {"source": f"synthetic speech in the manner of {corpus}"}
    elif passport := corpora.get(corpus) if corpus in corpora.NAMES else corpora.own(index.root_of(table)):
        known = {"license": passport.licence, "description": passport.citation, "languages": [passport.language]}
        about = {"source": passport.title} | {name: value for name, value in known.items() if value not in ("", [""])}
    else:
        about = {"source": corpus}
    database = audformat.Database(corpus, usage=audformat.define.Usage.RESEARCH, **about)
    database.schemes["emotion"] = audformat.Scheme(labels=list(labels.ordered(table["emotion"])))
    database.schemes["speaker"] = audformat.Scheme(labels=_speakers(table))
    database.schemes["duration"] = audformat.Scheme("time")
    texts = ("sentence", "take", "intensity", "flags")
    for name in texts:
        database.schemes[name] = audformat.Scheme("str")  # else it reads 01 back as a number
    splits = {part: name for part, name in SPLITS.items() if (table["part"] == part).any()}
    for name in splits.values():
        database.splits[name] = audformat.Split(name)
    named = table.set_index(audformat.filewise_index(table["path"]))
    files = {name: named[name] for name in texts}
    files["speaker"] = named["speaker"].str.removeprefix(f"{corpus}/")
    files["duration"] = pd.to_timedelta(named["duration_s"], unit="s")
    _add(audformat, database, "files", files)
    labelled = named[~named["flags"].str.contains("unlabelled")]
    _add(audformat, database, "emotion", labelled[["emotion"]])
    for part, name in splits.items():
        _add(audformat, database, f"emotion.{name}", labelled.loc[labelled["part"] == part, ["emotion"]], split_id=name)
    database.save(str(folder), storage_format="csv")
    return database


def _audformat():
    """Import audformat, or raise with how to install it."""
    try:
        import audformat
    except ImportError:
        raise ImportError(f"audformat is not installed; install it with {NEEDED}") from None
    return audformat


def _speakers(table):
    """Return {speaker: what is known of them}, as a scheme's labels."""
    found = {}
    for name, rows in table.groupby("speaker"):
        first = rows.iloc[0]
        known = {column: first[column] for column in ("gender", "race", "ethnicity") if first[column]}
        if not pd.isna(first["age"]):
            known["age"] = int(first["age"])
        found[name.split("/", 1)[1]] = known
    return found


def _add(audformat, database, name, columns, **about):
    """Add a table to a database; a column called like a scheme is bound to it."""
    values = pd.DataFrame(columns)
    database[name] = audformat.Table(values.index, **about)
    for column in values:
        scheme = column if column in database.schemes else None
        database[name][column] = audformat.Column(scheme_id=scheme)
        database[name][column].set(values[column].to_numpy())


def from_audformat(folder, *, media=None, table="emotion", emotions=None, seed=index.SEED):
    """Index the recordings of an audformat database.

    Parameters
    ----------
    folder : path-like
        Holds ``db.yaml``.
    media : path-like, optional
        The folder that the database's paths are relative to; by default `folder`.
    table : str
        The table that has a column ``emotion``. A column ``speaker`` is taken from it, or else from the others.
    emotions : dict of str to str, optional
        The database's word -> ours, where they differ.
    seed : int
        Draws the random part, as in `serlib.index.scan`, unless the database's own splits hold every file.

    Returns
    -------
    DataFrame
        An index table; what has no emotion in `table` is not in it.

    Raises
    ------
    ImportError
        If audformat is not installed.
    FileNotFoundError
        If there is no database.
    ValueError
        If there is no such table, no emotion or speaker in it, an emotion is unknown, or reading it could run code.
    """
    audformat = _audformat()
    folder = Path(folder)
    if not (folder / "db.yaml").is_file():
        raise FileNotFoundError(f"{folder} holds no db.yaml; expected an audformat database")
    _refuse_code(folder)
    _refuse_large_tables(folder)
    try:
        database = audformat.Database.load(str(folder), load_data=True)
    except Exception as error:  # audformat, yaml, pandas and pyarrow have a kind for each fault
        why = storage.printable(str(error).split("\n")[0])
        raise ValueError(f"{folder} is no audformat database that can be read ({why}); get it again") from None
    if not re.fullmatch(r"\w[\w.-]*", str(database.name)):
        raise ValueError(f"{folder} is called {database.name!r}; expected letters, digits, '.', '-' and '_'. Rename it")
    if table not in database.tables:
        raise ValueError(f"{folder} has no table {table!r}; use one of {', '.join(database.tables)}")
    rows = database[table].df
    if "emotion" not in rows or rows["emotion"].isna().all() or not audformat.is_filewise_index(rows.index):
        raise ValueError(f"{folder}: table {table!r} gives no emotion to whole files; name another")
    if rows.index.isna().any():
        raise ValueError(f"{folder}: table {table!r} has a row without a file; expected one in each. Mend it")
    rows = rows[["emotion"]].dropna().assign(speaker=_speaker_of_files(audformat, database, table))
    if (unknown := rows.index[rows["speaker"].isna()]).size:
        raise ValueError(
            f"{folder}: {len(unknown):,} files have no speaker, such as {unknown[0]!r}; without, no"
            " split keeps speakers apart"
        )
    rows["emotion"] = [(emotions or {}).get(emotion, emotion) for emotion in rows["emotion"]]
    for emotion in rows["emotion"].unique():
        if fault := labels.fault(emotion):
            raise ValueError(f"{folder}: an emotion is {fault}. Translate it with emotions={{...}}")
    rows["part"] = _part_of_files(database).reindex(rows.index).fillna("")
    home = Path(media or folder)
    return index.scan(home, _passport(database, rows, home), seed=seed)


def _refuse_code(folder):
    """Raise if a database could run code when audformat reads it, which trusts YAML's tags and pickled tables."""
    import yaml  # with which audformat reads the file

    file = folder / "db.yaml"
    try:
        header = yaml.safe_load(storage.read_text(file))
        tables = [*(header.get("tables") or {}), *(header.get("misc_tables") or {})]
    except (yaml.YAMLError, AttributeError, TypeError, RecursionError) as error:
        why = str(error).split("\n")[0]
        raise ValueError(f"{file} is no audformat database, or would run code ({why}); do not use it") from None
    if strange := [name for name in map(str, tables) if not re.fullmatch(r"[\w.-]+", name)]:
        raise ValueError(f"{file} has a table {strange[0]!r}; expected letters, digits, '.', '-' and '_' in its name")
    if pickles := sorted(folder.glob("*.pkl")):
        raise ValueError(
            f"{pickles[0]} is pickled, and could run code when it is read; expected tables as CSV or Parquet. Delete it"
        )


def _refuse_large_tables(folder):
    """Raise if a table of a database, unpacked, is larger than any of a corpus."""
    import pyarrow.parquet  # with which audformat reads such files

    for file in sorted(folder.glob("db.*.csv")):
        storage.column_names(file, storage.read_text(file))
    for file in sorted(folder.glob("db.*.parquet")):
        try:
            metadata = pyarrow.parquet.read_metadata(file)
        except (pyarrow.ArrowException, OSError) as error:
            raise ValueError(f"{file} is no Parquet table ({error}); get it again") from None
        storage.refuse_large_table(file, metadata.num_columns, metadata.num_rows)


def _speaker_of_files(audformat, database, table):
    """Return the speaker of each file from the first table that has it: `table`, then the others."""
    tables = [database[name].df for name in dict.fromkeys([table, *database.tables])]
    tables = [rows for rows in tables if "speaker" in rows and audformat.is_filewise_index(rows.index)]
    found = pd.concat([pd.Series(dtype=object), *(rows["speaker"].astype(object).dropna() for rows in tables)])
    return found[~found.index.duplicated()]


def _part_of_files(database):
    """Return the part of each file that a table with a split lists: train, validation or test."""
    words = {name: part for part, name in SPLITS.items()}
    listed = [
        (rows.df.index, database.splits[rows.split_id].type) for rows in database.tables.values() if rows.split_id
    ]
    found = [pd.Series(words[kind], files.get_level_values("file")) for files, kind in listed if kind in words]
    parts = pd.concat([pd.Series(dtype=object), *found])
    return parts[~parts.index.duplicated()]


def _passport(database, rows, home):
    """Declare the corpus of a database, utterance by utterance."""
    stems = [PurePosixPath(path).stem for path in rows.index]
    if len(set(stems)) < len(stems):  # as in SAVEE, only the folder tells them apart
        stems = [PurePosixPath(path).with_suffix("").as_posix() for path in rows.index]
    listed = {
        path: corpora.Parsed(stem, str(speaker), emotion, part=part)
        for stem, (path, emotion, speaker, part) in zip(stems, rows.itertuples(), strict=True)
    }
    title = database.source or database.name
    return corpora.declared(database.name, listed, speakers=_about_speakers(database), home=home, title=title)


def _about_speakers(database):
    """Return {speaker: Speaker} from the labels of the scheme ``speaker``; what has no place in it is left out."""
    known = getattr(database.schemes.get("speaker"), "labels", None)
    if isinstance(known, str):  # the name of a table
        known = database[known].df.to_dict("index")
    speakers = {}
    for name, about in known.items() if isinstance(known, dict) else ():
        about = about if isinstance(about, dict) else {}
        about = {key: value for key, value in about.items() if isinstance(value, (str, Real)) and pd.notna(value)}
        age = about.get("age")
        speakers[str(name)] = corpora.Speaker(
            gender=about["gender"] if about.get("gender") in labels.GENDERS else "",
            age=int(age) if isinstance(age, Real) and 0 <= age <= corpora.MAX_AGE else None,
            race=str(about.get("race", "")),
            ethnicity=str(about.get("ethnicity", "")),
        )
    return speakers
