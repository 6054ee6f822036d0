"""Frozen settings: the profile with its folders, and the named recipes (features, model, training)."""

import contextlib
import csv
import dataclasses
import errno
import glob
import gzip
import io
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path

import platformdirs

SEED = 42
# Of a table or a declaration; the index table of 50,000 utterances has 17 million characters, and 900,000 values.
MAX_CHARACTERS, MAX_VALUES, MAX_COLUMNS = 1 << 26, 5_000_000, 10_000
# What a terminal would obey, or a reader not see: control characters, marks of direction, halves of characters.
UNPRINTABLE = re.compile(r"[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
PROFILES = ("tiny", "full")
TOGETHER = {"bundle.json": ("MODEL_CARD.md",)}  # what is written together, though its names do not begin alike
ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # by others, a few bytes are unpacked to gigabytes at once
MAX_NUMBERS_PER_S = 500_000  # of spectra; two minutes of speech take half a gigabyte then
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)  # to write
BEGUN, COMMITTED = ".begun-", ".committed"  # in hidden names beside what is being written


@dataclass(frozen=True)
class MfccFeatures:
    """How a signal becomes a vector: MFCCs, averaged over time. The names are librosa's.

    Frames are centred on multiples of ``hop_length`` (the signal is padded with zeros), windowed by a periodic Hann
    window of ``win_length`` samples, and their power spectra are summed by ``n_mels`` triangular Slaney mel bands
    from 0 Hz to ``sr / 2``. Power is put into dB relative to 1 (never below ``amin``, nor more than ``top_db`` below
    the loudest value of the utterance) and transformed by an orthonormal DCT-II.

    Two settings change the signal before that, where they are given: ``trim_db`` cuts off what comes before the first
    and after the last frame less than that far below the loudest, and ``level_db`` then scales the signal to that root
    mean square, in dB relative to full scale.
    """

    sr: int = 22050
    n_mfcc: int = 50
    win_length: int = 512
    n_fft: int = 512
    hop_length: int = 256
    n_mels: int = 128
    amin: float = 1e-10
    top_db: float = 80.0
    trim_db: float | None = None
    level_db: float | None = None

    def __post_init__(self):
        most = {"sr": 96_000, "n_mfcc": 512, "win_length": 1 << 16, "n_fft": 1 << 16, "hop_length": 1 << 16}
        _refuse_unlike(self, Integral, {name: (1, at_most) for name, at_most in {**most, "n_mels": 512}.items()})
        _refuse_unlike(self, Real, {"amin": (1e-30, 1), "top_db": (0, 1000)})
        optional = {"trim_db": (0, 1000), "level_db": (-200, 0)}
        _refuse_unlike(self, Real, {name: r for name, r in optional.items() if getattr(self, name) is not None})
        if self.win_length > self.n_fft:
            raise ValueError(f"win_length {self.win_length} exceeds n_fft {self.n_fft}; make n_fft at least as long")
        if self.n_mfcc > self.n_mels:
            raise ValueError(f"n_mfcc {self.n_mfcc} exceeds n_mels {self.n_mels}; there are only n_mels coefficients")


@dataclass(frozen=True)
class CnnModel:
    """A 1-D CNN over the vector: convolutions, max-pooling after the second and third, dropout, dense, softmax."""

    filters: tuple[int, int, int] = (8, 16, 32)
    kernel_size: int = 5
    pool_size: int = 2
    pool_padding: str = "same"
    dropout: float = 0.1  # chosen once, inside EMODB's training part, by benchmarks/choose_dropout.py
    dense: int = 128

    def __post_init__(self):
        if len(self.filters) != 3 or not all(isinstance(n, Integral) and 1 <= n <= 512 for n in self.filters):
            raise ValueError(f"filters is {self.filters}; expected three whole numbers from 1 to 512")
        _refuse_unlike(self, Integral, {"kernel_size": (1, 64), "pool_size": (1, 64), "dense": (1, 2048)})
        _refuse_unlike(self, Real, {"dropout": (0, 0.99)})
        _refuse_other(self, "pool_padding", ("same", "valid"))


@dataclass(frozen=True)
class Training:
    """How the model is fitted. ``validation`` names the rows behind the validation curve; nothing is selected by it."""

    epochs: int = 500
    batch_size: int = 32
    learning_rate: float = 1e-4
    loss: str = "categorical_crossentropy"
    shuffle: bool = True
    validation: str = "train"

    def __post_init__(self):
        _refuse_unlike(self, Integral, {"epochs": (1, 1_000_000), "batch_size": (1, 1_000_000)})
        _refuse_unlike(self, Real, {"learning_rate": (1e-12, 10)})
        _refuse_other(self, "loss", ("categorical_crossentropy", "binary_crossentropy"))
        _refuse_other(self, "shuffle", (True, False))
        _refuse_other(self, "validation", ("train", "test"))


def _refuse_unlike(chosen, kind, ranges):
    """Raise if a setting is no number of its kind between two limits: it may come from a stranger's bundle."""
    for name, (least, most) in ranges.items():
        value = getattr(chosen, name)
        if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= most:
            number = "positive whole number" if kind is Integral else "number"
            raise ValueError(f"{name} is {value!r}; expected a {number} from {least:,} to {most:,}")


def _refuse_other(chosen, name, allowed):
    if getattr(chosen, name) not in allowed:
        raise ValueError(f"{name} is {getattr(chosen, name)!r}; expected one of {', '.join(map(repr, allowed))}")


@dataclass(frozen=True)
class Recipe:
    """Everything that turns recordings into a model, under one name."""

    name: str
    features: MfccFeatures = MfccFeatures()
    model: CnnModel = CnnModel()
    training: Training = Training()

    def to_dict(self):
        """Return the recipe as nested dicts that JSON can carry."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields):
        """Rebuild a recipe from `to_dict`'s result.

        Raises
        ------
        ValueError
            If a setting is missing, unknown or out of range: the recipe comes from another version.
        """
        try:
            if not re.fullmatch(r"[\w.-]+", fields["name"]):
                raise TypeError(f"its name is {fields['name']!r}")
            model = {**fields["model"], "filters": tuple(fields["model"]["filters"])}
            features = MfccFeatures(**fields["features"])
            n_numbers = features.sr / features.hop_length * (features.n_fft / 2 + features.n_mels)
            if n_numbers > MAX_NUMBERS_PER_S:
                what = f"{n_numbers:,.0f} numbers a second, more than {MAX_NUMBERS_PER_S:,}"
                raise ValueError(f"its n_fft, n_mels and hop_length make {what}")
            return cls(
                name=fields["name"],
                features=features,
                model=CnnModel(**model),
                training=Training(**fields["training"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the recipe's settings are not this version's ({error}); train the model again") from None


# `paper` is what the original project's README describes, `original-2021` what its code does. `paper-levelled` is
# `paper` without what tells corpora apart most easily: the silence around the speech, and its level, which is set to
# the usual one of telephone speech (ITU-T P.56).
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("paper"),
        Recipe(
            "original-2021",
            features=MfccFeatures(win_length=2048, n_fft=2048, hop_length=552),
            model=CnnModel(pool_padding="valid", dropout=0.0),
            training=Training(loss="binary_crossentropy", shuffle=False, validation="test"),
        ),
        Recipe("paper-levelled", features=MfccFeatures(trim_db=40.0, level_db=-26.0)),
    )
}


def recipe(name):
    """Return the recipe called `name`.

    Raises
    ------
    ValueError
        If there is none.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe {name!r} is unknown; use one of {', '.join(RECIPES)}")
    return RECIPES[name]


@dataclass(frozen=True)
class Settings:
    """What was left unsaid: the profile, and the folders in which it reads and writes."""

    profile: str
    data: Path
    csv: Path
    models: Path
    figures: Path
    results: Path
    runs: Path
    cache: Path
    seed: int = SEED

    def __str__(self):
        """Say all of it, a line each; of folders outside the project the name only, so that a page can be shown."""
        shown = {name: short(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        return "\n".join(f"{name:8} {value}" for name, value in shown.items())


def short(path):
    """Write a path so that a page with it can be shown: relative to the project, or only its last part."""
    path, project = Path(path), root()
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else f"…/{path.name}"


def root():
    """Return the project's folder: the nearest one above the working folder that holds ``serlib/``, else that one."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise FileNotFoundError("the working folder is gone; expected one that is there. Go to another") from None
    return next((folder for folder in (here, *here.parents) if (folder / "serlib" / "settings.py").is_file()), here)


def current(profile=None):
    """Read the settings from the environment: ``SERLIB_PROFILE``, ``SERLIB_DATA``, ``SERLIB_CACHE``.

    Parameters
    ----------
    profile : str, optional
        By default what ``SERLIB_PROFILE`` says.

    Returns
    -------
    Settings

    Raises
    ------
    ValueError
        If ``SERLIB_PROFILE`` is neither ``tiny`` nor ``full``.
    """
    profile = profile or os.environ.get("SERLIB_PROFILE") or "tiny"
    project = root()
    if profile == "tiny":
        tiny = project / "build" / "tiny"
        names = ("datasets", "csv", "models", "figures", "results", "runs", "cache")
        return Settings(profile, *(tiny / name for name in names))
    if profile == "full":
        return Settings(
            profile,
            data=Path(os.path.expanduser(os.environ.get("SERLIB_DATA") or project / "datasets")),
            csv=project / "datasets" / "csv",
            models=project / "models",
            figures=project / "figures",
            results=project / "results",
            runs=project / "build" / "full" / "runs",
            cache=Path(os.path.expanduser(os.environ.get("SERLIB_CACHE") or platformdirs.user_cache_dir("serlib"))),
        )
    raise ValueError(f"SERLIB_PROFILE is {profile!r}; expected 'tiny' (synthetic speech) or 'full' (your corpora)")


def bound_threads():
    """Keep linear-algebra libraries to one thread, before they are imported; nothing here is large enough for more.

    The threads that they would start wait busily, which costs a short command a third of its processor time.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def prepare_tensorflow():
    """Set what TensorFlow reads from the environment when it is imported: log errors only."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def quiet_stderr():
    """Send standard error nowhere, also the C library's and that of processes that are started meanwhile.

    TensorFlow announces itself there before its log can be set.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def parallel(**how):
    """Return a `joblib.Parallel`, and keep joblib from warning of processes that it starts anew: none of them is lost.

    It ends a process that TensorFlow has made large, and starts another. Where warnings are errors, the warning would
    end the thread that it is given in, and everybody would wait for that thread for ever. Nor shall numba warn of what
    two threads compile at once: the second time has no effect.

    Parameters
    ----------
    **how
        As `joblib.Parallel` takes it.
    """
    import joblib  # needless where one recording is predicted

    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
    warnings.filterwarnings("ignore", "Compilation requested for previously compiled argument types")
    return joblib.Parallel(**how)


def printable(text):
    r"""Write what a file or a table calls itself so that no terminal obeys it: control characters as JSON escapes them.

    Examples
    --------
    >>> printable("03a01Fa\x1b[2J.wav")
    '03a01Fa\\u001b[2J.wav'
    """
    return UNPRINTABLE.sub(lambda character: json.dumps(character[0])[1:-1], str(text))


def read_text(file):
    """Read a text in UTF-8, with or without a byte-order mark, compressed if it is called ``.gz``.

    Parameters
    ----------
    file : Path

    Returns
    -------
    str
        With line ends as Python has them.

    Raises
    ------
    ValueError
        If it is no such text, or has more than `MAX_CHARACTERS`, of which no more are read, or as much to keep apart as
        no table has.
    """
    opener = gzip.open if file.suffix == ".gz" else open
    try:
        with opener(file, "rt", encoding="utf-8-sig") as opened:
            text = opened.read(MAX_CHARACTERS + 1)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file} is no text in UTF-8 ({error}); save it so") from None
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{file} has more than {MAX_CHARACTERS:,} characters, too many for a table; name another file")
    if (n_values := sum(map(text.count, "\n,;\t[{"))) > MAX_VALUES:
        raise ValueError(f"{file} has {n_values:,} values or so; expected at most {MAX_VALUES:,}. Name another file")
    if "\0" in text:
        raise ValueError(f"{file} is no text (it holds characters of value zero); save it as one in UTF-8")
    return text


def header(file, text, *, separator=",", wanted=(), again="mend it"):
    """Return the columns' names of a CSV table, each of whose rows has a value for each of them.

    Parameters
    ----------
    file : Path
        For messages.
    text : str
        As `read_text` returns it.
    separator : str
    wanted : sequence of str
        Columns without which it is not what was asked for.
    again : str
        What to do about a table that is none, for messages.

    Returns
    -------
    list of str
        The first line's that is not empty; none if all are.

    Raises
    ------
    ValueError
        If it is no CSV, lacks a column, has a name twice or a row of another length, or would unfold to more than a
        table has.
    """
    rows = csv.reader(io.StringIO(text), delimiter=separator)
    try:
        names = next(filter(None, rows), [])
        first = f"{file}, line {rows.line_num or 1}"
        if missing := [name for name in wanted if name not in names]:
            raise ValueError(f"{first}: the column {missing[0]!r} is missing; expected {','.join(wanted)}; {again}")
        if twice := [name for name, n in Counter(filter(None, names)).items() if n > 1]:
            raise ValueError(f"{first}: the column {twice[0]!r} is there twice; expected each name once; {again}")
        refuse_unfolding(file, len(names), text.count("\n"))
        if uneven := next((rows.line_num for row in rows if row and len(row) != len(names)), None):
            raise ValueError(f"{file}, line {uneven}: expected {len(names)} values, as in the first; {again}")
    except csv.Error as error:
        raise ValueError(f"{file} is not a CSV table ({error}); save it as CSV in UTF-8") from None
    return names


def refuse_unfolding(file, n_columns, n_rows):
    """Raise ValueError if a table would have more columns, or more values in all, than tables have."""
    if n_columns > MAX_COLUMNS or n_columns * n_rows > MAX_VALUES:
        most = f"at most {MAX_COLUMNS:,} columns, and {MAX_VALUES:,} values in all"
        raise ValueError(f"{file} has {n_rows:,} lines of {n_columns:,} columns; expected {most}. Name another file")


def read_json(file):
    """Read a JSON document.

    Parameters
    ----------
    file : Path

    Raises
    ------
    ValueError
        If it is none; the message names the file.
    """
    text = read_text(file)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not JSON ({error}); make it again") from None


@contextlib.contextmanager
def replacing(path):
    """Write a file so that it is there whole or not at all: yield a temporary path, then move it into place.

    Parameters
    ----------
    path : path-like
        The file to write; its folder is made if need be.

    Yields
    ------
    Path
        A new name in the same folder, with the same suffix.
    """
    path = Path(path)
    with hidden(path) as temporary:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)


@contextlib.contextmanager
def replacing_together(path, *others):
    """Write what belongs together so that all of it is replaced or nothing: yield temporary paths, then move them.

    They lie in a hidden folder, and count from the moment when that is renamed. If the process is killed while they are
    moved out of it, whoever uses them next finishes that: see `settled`.

    Parameters
    ----------
    path, *others : path-like
        Files or whole folders, all in one folder, which is made if need be. Together they are called by the first.

    Yields
    ------
    list of Path
        As many new paths, which end in the same names.

    Raises
    ------
    ValueError, OSError
        If something would be lost, as `refuse_place` says, or nothing can be written there.
    """
    path = Path(os.path.abspath(path))
    with hidden(path, is_folder=True) as making:
        yield [making / Path(each).name for each in (path, *others)]
        _refuse_losses(path, [path.with_name(new.name) for new in making.iterdir() if not new.is_dir()])
        with settled(path):
            making.rename(_committed(path))
            _move_out(path)


def refuse_place(path, *others):
    """Raise if files could not be written together, or something would be lost: before any work, not after it.

    Parameters
    ----------
    path, *others : path-like
        As `replacing_together` takes them.

    Raises
    ------
    ValueError
        If a JSON file that would be replaced beside what was named is none of ours.
    OSError
        If a folder is there, or nothing can be.
    """
    _refuse_losses(path, (path, *others))
    with hidden(path):
        pass


def _refuse_losses(path, files):
    """Raise if a file would replace a folder, or a JSON file that is none of ours, beside the one that was named."""
    for file in map(Path, files):
        if os.path.isdir(file):  # which takes any name, also one that is too long to be there
            raise IsADirectoryError(f"{file} is a folder; expected a file, or nothing. Name another")
        is_beside = file.suffix == ".json" and file.name != Path(path).name
        if is_beside and os.path.isfile(file) and not _is_sidecar(file):
            why = "is not serlib's, and would be replaced; nothing was written"
            raise ValueError(f"{file} {why}. Name another place with -o")


def _is_sidecar(file):
    """Say whether a JSON file tells of what corpus it is, as all of ours do."""
    with contextlib.suppress(ValueError):
        return isinstance(said := read_json(file), dict) and "corpus" in said
    return False


@contextlib.contextmanager
def settled(path):
    """Read what `replacing_together` wrote: finish what a killed process had begun to move, and let nobody move now.

    Parameters
    ----------
    path : path-like
        The first of the paths that were written.
    """
    path = Path(os.path.abspath(path))
    with _locked(path.parent):
        _move_out(path)
        yield


def settle_all(folder):
    """Do what `settled` does for everything below a folder, before it is searched.

    Parameters
    ----------
    folder : path-like
    """
    for committed in sorted(Path(folder).rglob(f".*{COMMITTED}")):
        with settled(committed.with_name(committed.name[1:].removesuffix(COMMITTED))):
            pass


def _committed(path):
    return path.parent / f".{path.name}{COMMITTED}"


def _move_out(path):
    """Move what is committed into place; a folder that is there is moved aside first, since none can be replaced."""
    committed = _committed(path)
    if not committed.is_dir() or committed.is_symlink():
        return
    together = (path.name, *TOGETHER.get(path.name, ()))
    for new in sorted(committed.iterdir()):
        if new.name not in together and (new.is_dir() or not new.name.startswith(f"{path.name.split('.')[0]}.")):
            raise ValueError(
                f"{committed} holds {printable(new.name)!r}, which is none of {path.name}'s files; delete it"
            )
        old = path.with_name(new.name)
        if old.is_dir():
            aside = Path(tempfile.mkdtemp(prefix=f".{path.name}{BEGUN}", dir=path.parent))
            old.rename(aside / old.name)
            new.rename(old)
            _remove(aside)
        else:
            new.replace(old)
    committed.rmdir()


@contextlib.contextmanager
def hidden(path, *, is_folder=False):
    """Make something hidden to be written beside a path, and take away what killed processes left of the like.

    Parameters
    ----------
    path : path-like
        Its folder is made if need be.
    is_folder : bool
        Whether to make a folder, not a file.

    Yields
    ------
    Path
        What was made; it is removed in the end, if it is still there.

    Raises
    ------
    OSError
        If the place is full, or cannot be written to.
    """
    path = Path(path)
    prefix = f".{path.name}{BEGUN}"
    with _told_of(path, REFUSED), contextlib.ExitStack() as stack:
        with _told_of(path, errno.errorcode):
            path.parent.mkdir(parents=True, exist_ok=True)
            sweep(path)
            with _locked(path.parent):
                if is_folder:
                    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
                else:
                    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
                    os.close(handle)
                    temporary = Path(name)
                stack.callback(_remove, temporary)
                stack.enter_context(_locked(temporary))
        yield temporary


def sweep(path):
    """Take away what killed processes left of what was `hidden` beside a path.

    Parameters
    ----------
    path : path-like
    """
    path = Path(path)
    with _locked(path.parent):
        for left in path.parent.glob(f"{glob.escape(f'.{path.name}{BEGUN}')}*"):
            with _locked(left, waits=False) as is_left:
                if is_left:
                    _remove(left)


@contextlib.contextmanager
def _told_of(path, faults):
    """Say what was to be written where the system refuses to write: it names something hidden, or nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in faults:
            raise
        why = "its folder is a file" if isinstance(error, FileExistsError) else error.strerror
        raise type(error)(
            f"{path} cannot be written ({why}); what was there before is still there. Make room, or name another place"
        ) from error


@contextlib.contextmanager
def _locked(path, *, waits=True):
    """Lock a file or folder until the end, or until the process is killed; yield whether it is.

    Where a system knows no such locks (Windows, some network folders), nothing is locked, and what killed processes
    left stays.
    """
    with contextlib.ExitStack() as stack:
        is_locked = False
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            handle = os.open(path, os.O_RDONLY)
            stack.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            is_locked = True
        yield is_locked


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
