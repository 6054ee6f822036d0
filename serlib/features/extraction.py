"""Index table -> features of every utterance, computed by several threads or processes, and cached by content."""

import collections
import contextlib
import functools
import hashlib
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
import scipy
from tqdm.auto import tqdm

from .. import audio, cache
from .base import apply, identity
from .from_table import FeaturesTable

CHUNK = 32  # recordings of one job
WORKER_BYTES = 600_000_000  # that a process needs which computes features or trains
PROCESSES_PAY = 5000  # recordings from which on processes gain more than the second that it takes to start them


def from_file(source, *, features):
    """Load a recording and compute its features: what training and prediction both see of it.

    Parameters
    ----------
    source : path-like or binary file
    features : Features

    Returns
    -------
    ndarray of float32, of ``features.shape``

    Raises
    ------
    FileNotFoundError, ValueError
        If it cannot be read as audio.

    Examples
    --------
    >>> from serlib import audio, features, index
    >>> file = audio.files(index.corpus_folder("emodb"))[0]
    >>> features.from_file(file, features=features.get("mfcc-mean")).shape
    (50,)
    """
    return apply(features, audio.load(source, features.sr))


def extract(index, *, features, root=None, n_jobs=-1, verify=False, progress=False):
    """Compute the features of every utterance of an index table; what was computed before is read from the cache.

    Parameters
    ----------
    index : DataFrame
        An index table of one or several corpora, or some of its rows.
    features : Features
    root : path-like, or dict of str to path-like, optional
        The folder that its paths are relative to, or one for each corpus id; by default as indexed, else where the
        corpus now is.
    n_jobs : int
        Recordings computed at once, as joblib counts them; by default as many as there are processors. Another backend
        is used as joblib is told: ``with joblib.parallel_config(backend="dask")``.
    verify : bool
        Whether to read every file, even if neither its size nor its time of change differs from when it was hashed.
    progress : bool
        Whether to show progress bars on stderr.

    Returns
    -------
    ndarray of float32, shape (n_utterances, ...)
        In the order of the rows.

    Raises
    ------
    FileNotFoundError, ValueError
        If a recording is gone, cannot be read, or is not the one that was indexed; what was computed of the others is
        kept in the cache.

    Examples
    --------
    >>> from serlib import features, index
    >>> X = features.extract(index.load("emodb"), features=features.get("mfcc-mean"))
    >>> X.shape
    (280, 50)
    """
    if isinstance(features, FeaturesTable):
        return features.look_up(index)
    job = functools.partial(from_file, features=features)
    made_by = _made_by(features=identity(features), scipy=scipy.__version__)
    how = {"root": root, "n_jobs": n_jobs, "verify": verify, "progress": progress, "load": features.load}
    X = _measured(index, job, made_by, tuple(features.shape), desc="features", **how)
    if not np.isfinite(X).all():
        again = "clear it with 'python -m serlib cache --clear'"
        raise ValueError(f"the cache holds vectors with numbers that are not finite, which none of ours has; {again}")
    return X


def level_and_pitch(index, *, root=None, n_jobs=-1, progress=False):
    """Measure how loud and how high every utterance of an index table is; what was measured before is cached.

    Parameters
    ----------
    index : DataFrame
    root, n_jobs, progress
        As `extract` takes them.

    Returns
    -------
    ndarray of float32, shape (n_utterances, 2)
        Root mean square in dB relative to full scale (`audio.level_db`), and median fundamental frequency in Hz
        (`audio.pitch_hz`, NaN where it is silent), in the order of the rows.

    Raises
    ------
    FileNotFoundError, ValueError
        As `extract` does.

    Examples
    --------
    >>> from serlib import features, index
    >>> table = index.load("emodb")
    >>> level_db, pitch_hz = features.level_and_pitch(table.head(4)).T
    >>> len(level_db), bool((level_db < 0).all())
    (4, True)
    """
    made_by = _made_by(pitch=audio.PITCH_HZ, voiced_db=audio.VOICED_DB, librosa=metadata.version("librosa"))
    how = {"root": root, "n_jobs": n_jobs, "progress": progress, "load": _compile_yin}
    return _measured(index, _level_and_pitch, made_by, (2,), desc="level and pitch", **how)


def _compile_yin():
    """Compile YIN before worker processes do: two at once may corrupt numba's cache (numba issue 10128)."""
    audio.pitch_hz(np.ones(audio.PITCH_HZ["sr"], np.float32), audio.PITCH_HZ["sr"])


def _level_and_pitch(source):
    sr = audio.header(source).sample_rate_hz
    signal = audio.load(source, sr)
    return np.array([audio.level_db(signal), audio.pitch_hz(signal, sr)], np.float32)


def _measured(table, job, made_by, shape, *, desc, root, n_jobs, progress, verify=False, load=lambda: None):
    """Return `job`'s array for each recording of a table, from the cache where possible."""
    from .. import index  # and with it pandas, which prediction does without

    table = index.check(table)
    files = {}
    for corpus, rows in table.groupby("corpus", sort=False):
        folder = Path(index.root_of(table, corpus, root))
        contents = cache.contents(folder, rows["path"].tolist(), verify=verify, progress=progress)
        _refuse_changes(folder, rows["path"], rows["content"], contents)
        files |= dict(zip(rows["content"], (folder / path for path in rows["path"]), strict=True))
    known = cache.vectors(made_by, list(files), int(np.prod(shape)))
    unknown = [(content, file) for content, file in files.items() if content not in known]
    if unknown:
        load()
    job, unread = functools.partial(_compute, job), {}
    for done in in_chunks(job, unknown, n_jobs=n_jobs, desc=desc, progress=progress):
        unread |= {content: why for content, why in done.items() if isinstance(why, str)}
        fresh = {content: array.ravel() for content, array in done.items() if content not in unread}
        cache.store(made_by, fresh)  # what is done is kept, whatever happens to the rest
        known |= fresh
    if unread:
        few, n = sorted(unread.values())[:3], len(unread)
        raise ValueError("; ".join(few) + (f" ({n:,} recordings in all cannot be read)" if n > 1 else ""))
    return np.array([known[content] for content in table["content"]], np.float32).reshape(len(table), *shape)


def in_chunks(job, items, *, n_jobs=-1, desc="", progress=False):
    """Let a job work through recordings, several chunks of them at once, and yield what it returns as it is done.

    soundfile, soxr, scipy and numpy let other threads run, but each call is so short that handing over Python's lock
    takes much of what two threads gain; processes gain more, and take a second to start. `benchmarks/THREADS.md` has
    both, in cold processes.

    Parameters
    ----------
    job : callable
        Takes a list of items and returns something of that length, which is yielded; it can be pickled.
    items : list
    n_jobs : int
        As `extract` takes it.
    desc : str
        What the progress bar is called.
    progress : bool
        Whether to show it, on stderr.

    Examples
    --------
    >>> from serlib import features
    >>> sorted(len(done) for done in features.in_chunks(list, ["a.wav"] * 70, n_jobs=1))
    [6, 32, 32]
    """
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    if len(chunks) <= 1:
        results = map(job, chunks)
    else:
        from joblib import delayed

        prefer = "processes" if len(items) >= PROCESSES_PAY else "threads"
        jobs = parallel(n_jobs=n_jobs, prefer=prefer, return_as="generator_unordered")
        results = jobs(delayed(job)(chunk) for chunk in chunks)
    with tqdm(desc=desc, total=len(items), unit="file", disable=not progress) as bar:
        for done in results:
            yield done
            bar.update(len(done))


def in_order(job, items, *, n_jobs=-1):
    """Yield ``job(item)`` of each item, in order, computed in threads; few more items are taken than are worked on.

    Whoever takes only the first results may leave the rest.

    Parameters
    ----------
    job : callable
    items : iterable
    n_jobs : int
        As `extract` takes it.

    Examples
    --------
    >>> from serlib import features
    >>> list(features.in_order(str.upper, ["anger", "fear"], n_jobs=2))
    ['ANGER', 'FEAR']
    """
    from joblib import effective_n_jobs

    n_threads, waiting = effective_n_jobs(n_jobs), collections.deque()
    if n_threads == 1:
        yield from map(job, items)
        return
    with ThreadPoolExecutor(n_threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(job, item))
                if len(waiting) > 2 * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for left in waiting:
                left.cancel()


def parallel(**how):
    """Return a `joblib.Parallel`, without joblib's and numba's warnings of what does no harm.

    ``n_jobs=-1`` is all processors, but no more processes than the memory holds; a Dask cluster decides for itself.

    joblib replaces a process that TensorFlow has made large, and warns of it; where warnings are errors, that would end
    the thread that all others wait for. numba warns of what two threads compile at once.

    Parameters
    ----------
    **how
        As `joblib.Parallel` takes it.

    Examples
    --------
    >>> import joblib
    >>> from serlib import features
    >>> features.parallel(n_jobs=1)(joblib.delayed(len)(name) for name in ("anger", "fear"))
    [5, 4]
    """
    import joblib  # needless where one recording is predicted

    warnings.filterwarnings("ignore", "A worker stopped while some jobs were given", UserWarning)
    warnings.filterwarnings("ignore", "Compilation requested for previously compiled argument types")
    backend, _ = joblib.parallel.get_active_backend(prefer=how.get("prefer"))
    if how.get("n_jobs") == -1 and isinstance(backend, joblib.parallel.BACKENDS["loky"]):
        how["n_jobs"] = min(joblib.cpu_count(), n_workers(memory_bytes()))
    return joblib.Parallel(**how)


def n_workers(memory):
    """Return how many processes a memory of so many bytes holds beside the one that starts them: one at least."""
    return max(1, memory // WORKER_BYTES - 1)


def memory_bytes():
    """Return the memory that this process may use: the machine's, or its container's (control groups of Linux)."""
    limits = [1 << 62]
    with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits)


def _refuse_changes(root, paths, wanted, found):
    """Raise if a file is missing or has changed since it was indexed."""
    for path, expected, content in zip(paths, wanted, found, strict=True):
        if not content:
            raise FileNotFoundError(f"{root / path} is gone; it was there when the corpus was indexed. Index it again")
        if content != expected:
            what = "is not the file that was indexed (its content differs)"
            raise ValueError(f"{root / path} {what}; index the corpus again")


def _compute(job, chunk):
    """Return {content: array or error} of some recordings; runs in a worker process."""
    done = {}
    for content, file in chunk:
        try:
            done[content] = job(file)
        except (OSError, ValueError) as error:
            done[content] = f"{file}: {error}" if os.fspath(file) not in str(error) else str(error)
    return done


def _made_by(**made_by):
    """Return a hash of everything that decides the numbers: settings, and the libraries that compute them."""
    made_by |= {"numpy": np.__version__, "soxr": audio.soxr.__version__}
    made_by |= {"libsndfile": audio.soundfile.__libsndfile_version__}
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:16]
