"""Audio -> MFCC -> vectors, cached by content.

The numbers are those of `librosa.feature.mfcc` with the same settings; the work is done once over the whole utterance
(frames, one real FFT, one product with the mel bands), and where only the mean is wanted, it is taken before the DCT,
which is linear.
"""

import dataclasses
import functools
import hashlib
import json
from importlib import metadata
from pathlib import Path

import numpy as np
import scipy
import scipy.fft
import scipy.sparse
from tqdm.auto import tqdm

from . import audio, cache, settings

CHUNK = 32  # recordings of one job
SILENT_DB = -200.0  # below the least that 32 bits can say
PROCESSES_PAY = 256  # from so many recordings on, processes gain more than it takes to start them


def mfcc(signal, sr, *, features):
    """Compute the MFCCs of a signal.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Mono, in [-1, 1].
    sr : int, Hz
        Must equal ``features.sr``; nothing is resampled here.
    features : MfccFeatures
        Frame, hop (samples), number of mel bands and coefficients.

    Returns
    -------
    ndarray of float64, shape (n_mfcc, n_frames)
        ``n_frames`` is 1 + n_samples // hop_length.

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.
    """
    return _cepstrum(mel_db(signal, sr, features=features).astype(np.float64), features)


def mean_mfcc(signal, sr, *, features):
    """Average each MFCC over an utterance.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
        Mono, in [-1, 1].
    sr : int, Hz
        Must equal ``features.sr``; nothing is resampled here.
    features : MfccFeatures
        Frame, hop (samples), number of mel bands and coefficients.

    Returns
    -------
    ndarray of float32, shape (n_mfcc,)

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.
    """
    mean = mel_db(signal, sr, features=features).mean(axis=1, dtype=np.float64)
    return _cepstrum(mean, features).astype(np.float32)


def mel_db(signal, sr, *, features):
    """Compute the mel spectrogram in dB, as `mfcc` and `mean_mfcc` transform it.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr : int, Hz
        Must equal ``features.sr``.
    features : MfccFeatures

    Returns
    -------
    ndarray of float32, shape (n_mels, n_frames), dB
        Relative to a power of 1, at most ``top_db`` below the utterance's loudest value.

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.
    """
    bands = _sparse_bands(features.sr, features.n_fft, features.n_mels) @ _power(signal, sr, features).T
    return _decibel(bands, features)


def spectrogram_db(signal, sr, *, features):
    """Compute the power spectrogram in dB, from which the mel bands are summed.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,)
    sr : int, Hz
        Must equal ``features.sr``.
    features : MfccFeatures

    Returns
    -------
    ndarray of float32, shape (1 + n_fft // 2, n_frames), dB
        Relative to a power of 1, at most ``top_db`` below the utterance's loudest value.

    Raises
    ------
    ValueError
        If ``sr`` differs, or the signal is empty or not finite.
    """
    return _decibel(_power(signal, sr, features).T, features)


def _power(signal, sr, features):
    """Compute the frames' power spectra: float32, shape (n_frames, 1 + n_fft // 2)."""
    if sr != features.sr:
        raise ValueError(
            f"the signal has {sr} Hz, the recipe {features.sr} Hz; load it with audio.load(path, {features.sr})"
        )
    if signal.ndim != 1 or not len(signal):
        raise ValueError(f"the signal has shape {signal.shape}; expected (n_samples,) with at least one sample")
    if not np.isfinite(signal).all():
        raise ValueError("the signal has samples that are not finite numbers; expected values in [-1, 1]")
    signal = _prepared(signal, features)
    half = features.n_fft // 2
    padded = np.zeros(len(signal) + 2 * half, np.float32)
    padded[half : half + len(signal)] = signal
    shape = (1 + (len(padded) - features.n_fft) // features.hop_length, features.n_fft)
    strides = (features.hop_length * padded.itemsize, padded.itemsize)
    frames = np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)
    spectrum = scipy.fft.rfft(frames * _window(features.win_length, features.n_fft), axis=1)
    return np.square(spectrum.real) + np.square(spectrum.imag)


def _decibel(power, features):
    decibel = 10 * np.log10(np.maximum(power, np.float32(features.amin)))
    return np.maximum(decibel, decibel.max() - np.float32(features.top_db))


def _prepared(signal, features):
    """Cut off the silence around the speech and set its level, where the features say so."""
    if features.trim_db is not None:
        signal = audio.trim(signal, features.trim_db)
    if features.level_db is not None and (level_db := audio.level_db(signal)) > SILENT_DB:
        signal = signal * np.float32(10 ** ((features.level_db - level_db) / 20))
    return signal


def _cepstrum(decibel, features):
    """Transform dB over mel bands (axis 0, float64) into the first ``n_mfcc`` cepstral coefficients."""
    return scipy.fft.dct(decibel, type=2, norm="ortho", axis=0)[: features.n_mfcc]


@functools.cache
def _window(win_length, n_fft):
    """Return a periodic Hann window of `win_length`, centred in `n_fft` samples: float32, shape (n_fft,)."""
    before = (n_fft - win_length) // 2
    window = np.hanning(win_length + 1)[:-1]
    return np.pad(window, (before, n_fft - win_length - before)).astype(np.float32)


@functools.cache
def mel_bands(sr, n_fft, n_mels):
    """Build Slaney's triangular mel bands from 0 Hz to sr / 2, each of unit area (in Hz, times two).

    Parameters
    ----------
    sr : int, Hz
    n_fft, n_mels : int

    Returns
    -------
    ndarray of float32, shape (n_mels, 1 + n_fft // 2)

    References
    ----------
    M. Slaney, Auditory Toolbox, Technical Report 1998-010, Interval Research Corporation, 1998. The numbers are
    those of `librosa.filters.mel`, whose import takes seconds.
    """
    edges = _mel_to_hz(np.linspace(0.0, _hz_to_mel(sr / 2), n_mels + 2))
    slopes = edges[:, None] - np.fft.rfftfreq(n_fft, 1 / sr)[None, :]
    widths = np.diff(edges)[:, None]
    rising, falling = -slopes[:-2] / widths[:-1], slopes[2:] / widths[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


@functools.cache
def _sparse_bands(sr, n_fft, n_mels):
    """Return `mel_bands` without its zeros: quicker, and no linear-algebra library starts threads of its own."""
    return scipy.sparse.csr_array(mel_bands(sr, n_fft, n_mels))


# Slaney's mel scale: linear up to 1 kHz (15 mel), then 27 mel per factor of 6.4.
_HZ_PER_MEL, _BREAK_HZ, _BREAK_MEL, _LOG_STEP = 200 / 3, 1000.0, 15.0, np.log(6.4) / 27


def _hz_to_mel(hz):
    return hz / _HZ_PER_MEL if hz < _BREAK_HZ else _BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP


def _mel_to_hz(mel):
    return np.where(mel < _BREAK_MEL, mel * _HZ_PER_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))


def from_file(source, *, features):
    """Load a recording and average its MFCCs: what training and prediction both see of it.

    Parameters
    ----------
    source : path-like or binary file
    features : MfccFeatures

    Returns
    -------
    ndarray of float32, shape (n_mfcc,)

    Raises
    ------
    FileNotFoundError, ValueError
        If it cannot be read as audio.
    """
    return mean_mfcc(audio.load(source, features.sr), features.sr, features=features)


def extract(table, *, features, root=None, n_jobs=-1, verify=False, progress=False):
    """Compute the mean MFCCs of every utterance of an index table; what was computed before is read from the cache.

    Parameters
    ----------
    table : DataFrame
        An index table of one corpus, or some of its rows.
    features : MfccFeatures
    root : path-like, optional
        The folder that its paths are relative to; by default as indexed, else where the corpus now is.
    n_jobs : int
        Recordings computed at once, as joblib counts them; by default as many as there are processors. Another backend
        is used as joblib is told: ``with joblib.parallel_config(backend="dask")``.
    verify : bool
        Whether to read every file, even if neither its size nor its time of change is another than when it was hashed.
    progress : bool
        Whether to show progress bars on stderr.

    Returns
    -------
    ndarray of float32, shape (n_utterances, n_mfcc)
        In the order of the rows.

    Raises
    ------
    FileNotFoundError, ValueError
        If a recording is gone, cannot be read, or is not the one that was indexed; what was computed of the others is
        kept in the cache.
    """
    job = functools.partial(from_file, features=features)
    made_by = _made_by(features=dataclasses.asdict(features), scipy=scipy.__version__)
    how = {"root": root, "n_jobs": n_jobs, "verify": verify, "progress": progress}
    X = _measured(table, job, made_by, features.n_mfcc, desc="features", **how)
    if not np.isfinite(X).all():
        again = "forget them with 'python -m serlib cache --clear'"
        raise ValueError(f"the cache holds vectors with numbers that are not finite, which none of ours has; {again}")
    return X


def level_and_pitch(table, *, root=None, n_jobs=-1, progress=False):
    """Measure how loud and how high every utterance of an index table is; what was measured before is cached.

    Parameters
    ----------
    table : DataFrame
        An index table of one corpus, or some of its rows.
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
    """
    made_by = _made_by(pitch=audio.PITCH_HZ, voiced_db=audio.VOICED_DB, librosa=metadata.version("librosa"))
    how = {"root": root, "n_jobs": n_jobs, "progress": progress}
    return _measured(table, _level_and_pitch, made_by, 2, desc="level and pitch", **how)


def _level_and_pitch(source):
    sr = audio.header(source).sample_rate_hz
    signal = audio.load(source, sr)
    return np.array([audio.level_db(signal), audio.pitch_hz(signal, sr)], np.float32)


def _measured(table, job, made_by, n_numbers, *, desc, root, n_jobs, progress, verify=False):
    """Return so many numbers as `job` makes of each recording of a table, from the cache where they are known."""
    if root is None:
        from . import index  # and with it pandas, which prediction does without

        root = index.root_of(table)
    root = Path(root)
    paths, wanted = table["path"].tolist(), table["content"].tolist()
    _refuse_changes(root, paths, wanted, cache.contents(root, paths, verify=verify, progress=progress))
    known = cache.vectors(made_by, wanted, n_numbers)
    unknown = {content: root / path for content, path in zip(wanted, paths, strict=True) if content not in known}
    job, unread = functools.partial(_compute, job), {}
    for done in in_chunks(job, list(unknown.items()), n_jobs=n_jobs, desc=desc, progress=progress):
        unread |= {content: why for content, why in done.items() if isinstance(why, str)}
        fresh = {content: vector for content, vector in done.items() if content not in unread}
        cache.store(made_by, fresh)  # what is done is done, whatever happens to the rest
        known |= fresh
    if unread:
        few, n = sorted(unread.values())[:3], len(unread)
        raise ValueError("; ".join(few) + (f" ({n:,} recordings in all cannot be read)" if n > 1 else ""))
    return np.array([known[content] for content in wanted], np.float32).reshape(len(table), n_numbers)


def in_chunks(job, items, *, n_jobs=-1, desc="", progress=False):
    """Let a job work through recordings, several chunks of them at once, and yield what it returns as it is done.

    Threads would do: soundfile, soxr, scipy and numpy let each other run. But each call is so short that handing over
    Python's lock takes much of what two threads gain; `benchmarks/RESULTS.md` has both. So processes do the work where
    there is enough of it.

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
    """
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    if len(chunks) <= 1:
        results = map(job, chunks)
    else:
        from joblib import delayed

        prefer = "processes" if len(items) >= PROCESSES_PAY else "threads"
        jobs = settings.parallel(n_jobs=n_jobs, prefer=prefer, return_as="generator_unordered")
        results = jobs(delayed(job)(chunk) for chunk in chunks)
    with tqdm(desc=desc, total=len(items), unit="file", disable=not progress) as bar:
        for done in results:
            yield done
            bar.update(len(done))


def project(X, method, *, seed=settings.SEED):
    """Lay vectors out in a plane, each coefficient standardised first, so that the level does not outshine the others.

    Parameters
    ----------
    X : ndarray of float32, shape (n_utterances, n_mfcc)
    method : str
        ``PCA``: the two directions of greatest variance; distances mean the same everywhere. ``t-SNE``: neighbours
        stay neighbours; distances between groups mean little.
    seed : int

    Returns
    -------
    ndarray of float32, shape (n_utterances, 2)
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    methods = {
        "PCA": PCA(2, random_state=seed),
        "t-SNE": TSNE(2, perplexity=min(30, (len(X) - 1) / 3), init="pca", random_state=seed),
    }
    with threadpool_limits(1):  # t-SNE's threads wait for each other: on two processors, one is four times as quick
        return methods[method].fit_transform(StandardScaler().fit_transform(X)).astype(np.float32)


def invert(mfcc, *, features):
    """Make a sound whose MFCCs are these, by librosa: bands by least squares, phases by Griffin and Lim's method.

    Parameters
    ----------
    mfcc : ndarray, shape (n_mfcc, n_frames)
    features : MfccFeatures
        The settings that made them.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        The same each time: all phases begin at zero.
    """
    import librosa

    sizes = {"n_fft": features.n_fft, "hop_length": features.hop_length, "win_length": features.win_length}
    mel = librosa.feature.inverse.mfcc_to_mel(mfcc.astype(np.float32), n_mels=features.n_mels)
    spectrogram = librosa.feature.inverse.mel_to_stft(mel, sr=features.sr, n_fft=features.n_fft)
    return librosa.griffinlim(spectrogram, init=None, **sizes)


def standardise(X, speakers):
    """Give each speaker's vectors mean 0 and standard deviation 1, coefficient by coefficient; labels are not used.

    Parameters
    ----------
    X : ndarray of float32, shape (n_utterances, n_mfcc)
    speakers : sequence of str, shape (n_utterances,)

    Returns
    -------
    ndarray of float32, shape (n_utterances, n_mfcc)
        A speaker's coefficient that never varies is 0.
    """
    speakers, standard = np.asarray(speakers, dtype=object), np.empty_like(X)
    for speaker in dict.fromkeys(speakers):
        mine = speakers == speaker
        spread = X[mine].std(axis=0, dtype=np.float64)
        standard[mine] = (X[mine] - X[mine].mean(axis=0, dtype=np.float64)) / np.where(spread > 0, spread, 1)
    return standard


def _refuse_changes(root, paths, wanted, found):
    """Raise if a file is gone, or is not the one that was indexed."""
    for path, expected, content in zip(paths, wanted, found, strict=True):
        if not content:
            raise FileNotFoundError(f"{root / path} is gone; it was there when the corpus was indexed. Index it again")
        if content != expected:
            what = "is not the file that was indexed (its content differs)"
            raise ValueError(f"{root / path} {what}; index the corpus again")


def _compute(job, chunk):
    """Return {content: vector, or why there is none} of some recordings: a job of its own, wherever it is run."""
    done = {}
    for content, file in chunk:
        try:
            done[content] = job(file)
        except (OSError, ValueError) as error:
            done[content] = str(error)
    return done


def _made_by(**made_by):
    """Name everything that decides the numbers: settings, and the libraries that compute them."""
    made_by |= {"numpy": np.__version__, "soxr": audio.soxr.__version__}
    made_by |= {"libsndfile": audio.soundfile.__libsndfile_version__}
    return hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:16]
