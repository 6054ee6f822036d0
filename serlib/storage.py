"""Write files whole or not at all; read text and JSON within bounds; write text so that no terminal obeys it."""

import contextlib
import csv
import errno
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
import zlib
from collections import Counter
from pathlib import Path

# The index table of 50,000 utterances has 17 million characters and 900,000 values.
MAX_CHARACTERS, MAX_VALUES, MAX_COLUMNS = 1 << 26, 5_000_000, 10_000
# What a terminal would obey or a reader not see: control characters, marks of direction, halves of characters.
UNPRINTABLE = re.compile(r"[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
WRITE_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EISDIR),
)


def printable(text):
    r"""Escape control characters as JSON does, so that no terminal obeys the name of a file.

    Examples
    --------
    >>> printable("03a01Fa\x1b[2J.wav")
    '03a01Fa\\u001b[2J.wav'
    """
    return UNPRINTABLE.sub(lambda character: json.dumps(character[0])[1:-1], str(text))


def read_text(file):
    """Read a text in UTF-8, decompressed if it ends in ``.gz``; ValueError if it is none, or too large."""
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig") as opened:
            text = opened.read(MAX_CHARACTERS + 1)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file} is not text in UTF-8 ({error}); save it as UTF-8") from None
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{file} has more than {MAX_CHARACTERS:,} characters, too many for a table; name another file")
    if (n_values := sum(map(text.count, "\n,;\t[{"))) > MAX_VALUES:
        raise ValueError(f"{file} has {n_values:,} values or so; expected at most {MAX_VALUES:,}. Name another file")
    if "\0" in text:
        raise ValueError(f"{file} is not text (it holds characters of value zero); save it as UTF-8")
    return text


def read_json(file):
    """Read a JSON document; ValueError, with the file's name, if it is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> from serlib import storage
    >>> _ = Path("about.json").write_text('{"corpus": "emodb"}')
    >>> storage.read_json(Path("about.json"))
    {'corpus': 'emodb'}
    """
    text = read_text(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not JSON ({error}); make it again") from None


def column_names(file, text, *, separator=",", wanted=(), again="correct it"):
    """Return a CSV text's column names; ValueError if a wanted one is missing, or the table is not regular.

    Examples
    --------
    >>> from serlib import storage
    >>> storage.column_names("words.csv", "path,emotion")
    ['path', 'emotion']
    """
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        names = next(filter(None, rows), [])
        first = f"{file}, line {rows.line_num or 1}"
        if missing := [name for name in wanted if name not in names]:
            raise ValueError(f"{first}: the column {missing[0]!r} is missing; expected {','.join(wanted)}; {again}")
        if twice := [name for name, n in Counter(filter(None, names)).items() if n > 1]:
            raise ValueError(f"{first}: the column {twice[0]!r} is there twice; expected each name once; {again}")
        refuse_large_table(file, len(names), text.count("\n"))
        if uneven := next((rows.line_num for row in rows if row and len(row) != len(names)), None):
            raise ValueError(f"{file}, line {uneven}: expected {len(names)} values, as in the first; {again}")
    except csv.Error as error:
        raise ValueError(f"{file} is not a CSV table ({error}); save it as CSV in UTF-8") from None
    return names


def refuse_large_table(file, n_columns, n_rows):
    """Raise ValueError if a table has more columns, or more values in all, than any table of utterances."""
    if n_columns > MAX_COLUMNS or n_columns * n_rows > MAX_VALUES:
        most = f"at most {MAX_COLUMNS:,} columns, and {MAX_VALUES:,} values in all"
        raise ValueError(f"{file} has {n_rows:,} lines of {n_columns:,} columns; expected {most}. Name another file")


@contextlib.contextmanager
def replacing(path):
    """Write a file or folder so that it is there whole or not at all: yield a temporary path, then rename it.

    A process that is killed leaves the old one, and a hidden folder beside it that may be deleted.

    Parameters
    ----------
    path : path-like
        Its folder is made if need be. A folder that is there is replaced by a folder only.

    Yields
    ------
    Path
        Of the same name, in a temporary folder beside it.

    Raises
    ------
    OSError
        With the user's path, if nothing can be written there.

    Examples
    --------
    >>> from pathlib import Path
    >>> from serlib import storage
    >>> with storage.replacing("whole.txt") as new:
    ...     _ = new.write_text("all of it")
    >>> Path("whole.txt").read_text()
    'all of it'
    """
    path = Path(os.path.abspath(path))
    with _naming(path, errno.errorcode):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    with _naming(path, WRITE_ERRORS):
        new, old = temporary / path.name, temporary / "old"
        try:
            yield new
            if new.is_dir() and path.is_dir():
                path.rename(old)
            try:
                new.replace(path)
            except OSError:
                if old.exists():
                    old.rename(path)
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def _naming(path, errors):
    """Re-raise write errors with the user's path instead of the temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno not in errors:
            raise
        why = "its folder is a file" if isinstance(error, (FileExistsError, NotADirectoryError)) else error.strerror
        kept = "what was there before is still there"
        raise type(error)(f"{path} cannot be written ({why}); {kept}. Make room, or name another place") from None


def write_described(contents, sidecar, about):
    """Write files, and last the JSON file that holds their SHA-256: a mismatch shows a killed writer.

    Examples
    --------
    >>> from pathlib import Path
    >>> from serlib import storage
    >>> storage.write_described({"numbers.csv": b"1,2"}, "numbers.json", {"corpus": "emodb"})
    >>> list(storage.read_json(Path("numbers.json")))
    ['corpus', 'sha256']
    """
    refuse_place(*contents, sidecar=sidecar)
    for file, content in contents.items():
        with replacing(file) as new:
            new.write_bytes(content)
    sums = {Path(file).name: hashlib.sha256(content).hexdigest() for file, content in contents.items()}
    with replacing(sidecar) as new:
        text = json.dumps({"corpus": None, **about, "sha256": sums}, indent=1, ensure_ascii=False)
        new.write_text(f"{text}\n", encoding="utf-8")


def is_described(file, about):
    """Return whether a file is the one that its sidecar describes; True where the sidecar has no checksum of it.

    Examples
    --------
    >>> import hashlib
    >>> from pathlib import Path
    >>> from serlib import storage
    >>> _ = Path("letters.csv").write_bytes(b"a,b")
    >>> storage.is_described("letters.csv", {"sha256": {"letters.csv": hashlib.sha256(b"a,b").hexdigest()}})
    True
    """
    sums = about.get("sha256")
    expected = sums.get(Path(file).name) if isinstance(sums, dict) else None
    return expected is None or hashlib.sha256(Path(file).read_bytes()).hexdigest() == expected


def refuse_place(*files, sidecar):
    """Raise, before any work, if files and their sidecar cannot be written or would replace what is not ours."""
    for file in map(Path, (*files, sidecar)):
        if os.path.isdir(file):  # which takes any name, also one that is too long
            raise IsADirectoryError(f"{file} is a folder; expected a file, or nothing. Name another")
    if os.path.isfile(sidecar) and not _is_ours(Path(sidecar)):
        raise ValueError(
            f"{sidecar} is not serlib's, and would be replaced; nothing was written. Name another place with -o"
        )
    refuse_unwritable(sidecar)


def refuse_unwritable(path):
    """Raise OSError if nothing can be written beside a path."""
    path = Path(os.path.abspath(path))
    with _naming(path, errno.errorcode):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent):
            pass


def _is_ours(sidecar):
    """Return whether a JSON file has the key that all our sidecars have."""
    with contextlib.suppress(ValueError):
        return isinstance(about := read_json(sidecar), dict) and "corpus" in about
    return False
