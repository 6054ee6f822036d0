"""What need not be computed twice: the hashes of files that have not changed, and the features of contents.

Two tables in one SQLite file, which any number of processes may use at once and which a killed one leaves whole.
Neither is trusted further than its key reaches: a hash belongs to a path, a size and a time of change; a vector to a
content, the settings of the features, and the libraries that computed it.
"""

import contextlib
import functools
import hashlib
import os
import sqlite3
import stat
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm.auto import tqdm

from . import settings

SETTLED_NS = 2_000_000_000  # a file that changed so recently may change again under the same time stamp
AT_ONCE = 500  # values of one query
MARKS = (b"SQLite format 3", b"CREATE TABLE vectors")  # in the first page of ours
PAGE = 4096
SCHEMA = """
create table if not exists contents (
    folder text, path text, size integer, mtime_ns integer, content text, primary key (folder, path)
) without rowid;
create table if not exists vectors (
    made_by text, content text, vector blob, primary key (made_by, content)
) without rowid;
"""


def content_hash(path):
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Examples
    --------
    >>> from pathlib import Path
    >>> from serlib import cache
    >>> _ = Path("empty.txt").write_bytes(b"")
    >>> cache.content_hash("empty.txt")[:16]
    'e3b0c44298fc1c14'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(folder, paths, *, verify=False, progress=False):
    """Return the content hash of each file; those that have not changed since they were hashed are not read.

    Parameters
    ----------
    folder : path-like
    paths : sequence of str
        Relative to it.
    verify : bool
        Whether to read all files, whatever is known of them.
    progress : bool
        Whether to show a progress bar on stderr.

    Returns
    -------
    list of str
        64 hexadecimal digits each; an empty string where there is no such file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from serlib import cache
    >>> _ = Path("twin-a.txt").write_text("the same"), Path("twin-b.txt").write_text("the same")
    >>> a, b, absent = cache.contents(".", ["twin-a.txt", "twin-b.txt", "nowhere.txt"])
    >>> a == b, absent
    (True, '')
    """
    folder = os.path.abspath(folder)
    known = {} if verify else _known_contents(folder)
    found, unknown = {}, {}
    for path in paths:
        try:
            status = os.stat(f"{folder}/{path}")
        except (OSError, ValueError):  # a null character in its name
            status = None
        if status is None or not stat.S_ISREG(status.st_mode):  # who reads a pipe waits for ever
            found[path] = ""
            continue
        *unchanged, content = known.get(path, (None, None, None))
        if unchanged == [status.st_size, status.st_mtime_ns]:
            found[path] = content
        else:
            unknown[path] = (status.st_size, status.st_mtime_ns)
    if unknown:
        now = time.time_ns()
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # hashing lets other threads run
            hashed = pool.map(lambda path: content_hash(f"{folder}/{path}"), unknown)
            hashed = tqdm(hashed, desc="contents", total=len(unknown), unit="file", disable=not progress)
            found |= zip(unknown, hashed, strict=True)
        settled = [
            (folder, path, size, mtime_ns, found[path])
            for path, (size, mtime_ns) in unknown.items()
            if mtime_ns < now - SETTLED_NS
        ]
        _using(lambda cache: cache.executemany("insert or replace into contents values (?, ?, ?, ?, ?)", settled))
    return [found[path] for path in paths]


def _known_contents(folder):
    query = "select path, size, mtime_ns, content from contents where folder = ?"
    rows = _using(lambda cache: cache.execute(query, (folder,)).fetchall())
    return {path: known for path, *known in rows}


def vectors(made_by, wanted, n_numbers):
    """Return what is stored of some contents.

    Parameters
    ----------
    made_by : str
        Whatever decides the numbers: settings and libraries.
    wanted : sequence of str
        Content hashes.
    n_numbers : int
        How long each vector is.

    Returns
    -------
    dict of str to ndarray of float32, shape (n_numbers,)
        By content; what is not stored, or is no such vector, is left out.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import cache
    >>> cache.store("an example", {"a" * 64: np.array([1.0, 2.0])})
    >>> cache.vectors("an example", ["a" * 64, "b" * 64], 2)["a" * 64].tolist()
    [1.0, 2.0]
    """
    wanted = list(dict.fromkeys(wanted))

    def look(cache):
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            marks = ", ".join("?" * len(some))
            query = f"select content, vector from vectors where made_by = ? and content in ({marks})"
            yield from cache.execute(query, (made_by, *some)).fetchall()

    stored = _using(lambda cache: list(look(cache)))
    whole = [both for both in stored if isinstance(both[1], bytes) and len(both[1]) == 4 * n_numbers]
    return {content: np.frombuffer(vector, np.float32) for content, vector in whole}


def store(made_by, fresh):
    """Store {content hash: vector of float32}.

    Examples
    --------
    >>> import numpy as np
    >>> from serlib import cache
    >>> cache.store("another example", {"a" * 64: np.zeros(3)})
    >>> len(cache.vectors("another example", ["a" * 64], 3))
    1
    """
    rows = [(made_by, content, vector.astype(np.float32).tobytes()) for content, vector in fresh.items()]
    _using(lambda cache: cache.executemany("insert or replace into vectors values (?, ?, ?)", rows))


def summary():
    """Sum the cache up.

    Returns
    -------
    dict
        ``file``, ``bytes``, ``n_contents`` (files whose hash is known), ``n_vectors``.

    Examples
    --------
    >>> from serlib import cache
    >>> list(cache.summary())
    ['file', 'bytes', 'n_contents', 'n_vectors']
    """
    query = "select (select count(*) from contents), (select count(*) from vectors)"
    n_contents, n_vectors = _using(lambda cache: cache.execute(query).fetchone())
    file = _file()
    return {"file": str(file), "bytes": file.stat().st_size, "n_contents": n_contents, "n_vectors": n_vectors}


def clear():
    """Forget everything."""
    _using(lambda cache: (cache.execute("delete from contents"), cache.execute("delete from vectors")))
    _using(lambda cache: cache.commit() or cache.execute("vacuum"))


def _file():
    return settings.current().cache / "cache.sqlite"


def _using(action):
    """Call `action` with the open cache in one transaction; create the cache if it is missing or corrupt.

    Raises
    ------
    OSError
        If it can neither be read nor made.
    ValueError
        If something else is there.
    """
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return _transaction(file, action)
    except (sqlite3.OperationalError, OSError) as error:
        next = "wait for what else uses it, free space, or point SERLIB_CACHE elsewhere"
        raise OSError(f"{file} cannot be used ({error}); {next}") from None
    except sqlite3.DatabaseError as error:  # if it was ours, it holds nothing that cannot be computed again
        with contextlib.suppress(FileNotFoundError), open(file, "rb") as damaged:
            first = damaged.read(PAGE)
            if not all(mark in first for mark in MARKS):
                raise _not_ours(file, error) from None
        file.unlink(missing_ok=True)
        return _transaction(file, action)


def _transaction(file, action):
    with contextlib.closing(sqlite3.connect(file, timeout=60)) as connection:
        if not _tables(connection) <= _our_tables():
            raise _not_ours(file, "it has other tables")
        connection.executescript(SCHEMA)
        with connection:
            return action(connection)


def _tables(connection):
    return set(connection.execute("select name, sql from sqlite_master where sql is not null"))


@functools.cache
def _our_tables():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        return _tables(connection)


def _not_ours(file, why):
    return ValueError(f"{file} is no cache of serlib's ({why}); move it away, or point SERLIB_CACHE elsewhere")
