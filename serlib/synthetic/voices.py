"""One utterance of synthetic speech, made as the source-filter theory has it [1]_, [2]_.

A train of glottal pulses [3]_, uneven in period and strength, and breath noise excite the resonances of a vocal tract,
which move from phone to phone [4]_. The emotion decides pitch, tempo, level, spectral tilt and voice quality, in the
directions on which reviews of vocal expression agree [5]_, [6]_, [7]_, [8]_, [9]_, [10]_. Each speaker expresses an
emotion in a manner of their own [11]_, and each is heard through a microphone and noise of their own.

References
----------
.. [1] Fant, G. (1960). Acoustic Theory of Speech Production. Mouton.
.. [2] Klatt, D. H. (1980). Software for a cascade/parallel formant synthesizer. JASA 67(3), 971-995.
.. [3] Klatt, D. H., Klatt, L. C. (1990). Analysis, synthesis, and perception of voice quality variations among female
   and male talkers. JASA 87(2), 820-857.
.. [4] Peterson, G. E., Barney, H. L. (1952). Control methods used in a study of the vowels. JASA 24(2), 175-184.
.. [5] Murray, I. R., Arnott, J. L. (1993). Toward the simulation of emotion in synthetic speech: a review of the
   literature on human vocal emotion. JASA 93(2), 1097-1108.
.. [6] Banse, R., Scherer, K. R. (1996). Acoustic profiles in vocal emotion expression. Journal of Personality and
   Social Psychology 70(3), 614-636.
.. [7] Burkhardt, F., Sendlmeier, W. F. (2000). Verification of acoustical correlates of emotional speech using
   formant-synthesis. ISCA Workshop on Speech and Emotion, 151-156.
.. [8] Juslin, P. N., Laukka, P. (2003). Communication of emotions in vocal expression and music performance: different
   channels, same code? Psychological Bulletin 129(5), 770-814.
.. [9] Scherer, K. R. (2003). Vocal communication of emotion: a review of research paradigms. Speech Communication
   40(1-2), 227-256.
.. [10] Scherer, K. R., Oshinsky, J. S. (1977). Cue utilization in emotion attribution from auditory stimuli. Motivation
   and Emotion 1(4), 331-346.
.. [11] Spackman, M. P., Brown, B. L., Otto, S. (2009). Do emotions have distinct vocal profiles? A study of idiographic
   patterns of expression. Cognition and Emotion 23(8), 1565-1588.
"""

import zlib
from dataclasses import astuple, dataclass, fields, replace

import numpy as np
from scipy.fft import next_fast_len
from scipy.signal import istft, stft


@dataclass(frozen=True)
class Manner:
    """How an utterance is spoken. The values of an emotion are relative to the same speaker's neutral voice."""

    pitch_st: float  # mean F0, semitones
    range_st: float  # standard deviation of F0, semitones
    rise_st: float  # F0 from the first syllable to the last, semitones
    tempo: float  # log of the speaking rate
    level_db: float
    tilt_db: float  # per octave, above 500 Hz: less negative is sharper
    breath_db: float  # breath noise against voice
    jitter: float  # relative standard deviation of the period
    open_quotient: float  # share of the period in which the glottis is open: small is pressed
    smile: float  # log of the formant frequencies' shift: lips spread (> 0) or rounded
    opening: float  # log of the first formant's shift: jaw open (> 0) or lax


NEUTRAL = Manner(0.0, 1.5, -2.0, 0.0, 0.0, 0.0, 0.0, 0.010, 0.60, 0.0, 0.0)

# Directions as in [5]_ to [9]_, surprise as in [10]_; sizes are those of acted, strong emotion.
EMOTIONS = {
    "anger": Manner(6.0, 3.8, -2.0, 0.20, 12.0, 5.0, 0.0, 0.030, 0.40, 0.0, 0.22),
    "boredom": Manner(-3.0, 0.2, -3.5, -0.35, -4.5, -2.2, 3.0, 0.010, 0.68, -0.04, -0.22),
    "calm": Manner(-1.5, 0.8, -2.0, -0.18, -7.5, -3.8, 6.0, 0.004, 0.75, 0.03, 0.0),
    "disgust": Manner(-3.0, 2.2, -5.0, -0.30, -1.5, 2.2, 6.0, 0.055, 0.45, -0.12, 0.15),
    "fear": Manner(9.0, 1.5, 2.5, 0.30, -1.5, -1.5, 15.0, 0.040, 0.68, 0.06, -0.22),
    "happiness": Manner(6.0, 4.5, 4.0, 0.18, 6.0, 2.2, 0.0, 0.010, 0.52, 0.15, 0.08),
    "neutral": NEUTRAL,
    "sadness": Manner(-1.5, 0.4, -5.0, -0.35, -10.5, -5.2, 12.0, 0.025, 0.82, -0.06, -0.15),
    "surprise": Manner(10.0, 5.2, 10.0, 0.08, 4.5, 0.8, 6.0, 0.010, 0.52, -0.05, 0.30),
}

# Standard deviations of what a speaker adds to an emotion (each time the same), and the share of them by which two
# utterances of the same speaker and emotion differ.
HABIT = Manner(3.0, 0.7, 2.0, 0.10, 3.5, 2.2, 4.0, 0.006, 0.08, 0.06, 0.12)
CHANCE = 0.2
STYLE = 0.2  # a style's standard deviations against a speaker's; with more, networks learn less from so few utterances
# What a voice and a larynx can do, however the draw falls out.
LIMITS = {"range_st": (0.2, 12.0), "jitter": (0.002, 0.1), "open_quotient": (0.35, 0.9)}

# First three formants (Hz) of men's vowels [4]_.
VOWELS = np.array(
    [
        (270, 2290, 3010),  # heed
        (390, 1990, 2550),  # hid
        (530, 1840, 2480),  # head
        (660, 1720, 2410),  # had
        (730, 1090, 2440),  # hod
        (570, 840, 2410),  # hawed
        (440, 1020, 2240),  # hood
        (300, 870, 2240),  # who'd
        (640, 1190, 2390),  # hud
    ],
    dtype=float,
)

# Formants (Hz), voice (0 to 1), noise (0 to 1) and the noise's centre (Hz) of some consonants, simplified after [2]_.
CONSONANTS = np.array(
    [
        (340, 1100, 2080, 0.0, 0.3, 7000),  # f
        (320, 1390, 2530, 0.0, 0.8, 6000),  # s
        (300, 1840, 2750, 0.0, 1.0, 3000),  # sh
        (400, 1600, 2600, 0.0, 0.6, 4500),  # t
        (240, 1390, 2530, 0.4, 0.4, 6000),  # z
        (480, 1270, 2130, 0.5, 0.0, 6000),  # m
        (310, 1050, 2880, 0.6, 0.0, 6000),  # l
    ],
    dtype=float,
)

N_SYLLABLES = 5
EDGE_S, CONSONANT_S, VOWEL_S = 0.04, 0.06, 0.12
FRAME_S = 0.032
FRICTION = 0.05  # strength of noise at its centre, against a glottal pulse of 1
PITCH_HZ = {"female": 220.0, "male": 130.0}  # about the means of [4]_
TRACT = {"female": 1.17, "male": 1.0}  # women's formants against men's: about the mean over the vowels of [4]_
NEUTRAL_DBFS = -35.0
# A channel's gain over frequency is a sum of cosines along the mel axis, from 0 Hz to KNOTS_HZ.
KNOTS_HZ, N_KNOTS = 12000.0, 40
N_RIPPLES, RIPPLE_DB = 12, 1.2


@dataclass(frozen=True)
class Voice:
    """What stays the same in all that a speaker says: the body, and the channel through which it is heard."""

    pitch_hz: float
    tract: float  # formant frequencies against an average man's
    breath_db: float
    tilt_db: float  # per octave, above 500 Hz
    level_db: float
    floor_dbfs: float
    channel_db: np.ndarray  # gain at each knot, equally spaced in mel


def speech(emotion, speaker, *, gender, sr, sentence="", take="", style="", seed=42):
    """Synthesise one utterance, of about a second.

    Parameters
    ----------
    emotion : str
        One of `serlib.labels.EMOTIONS`.
    speaker : str
        Any name; the same name is the same voice, heard through the same channel.
    gender : str
        ``female`` or ``male``.
    sr : int, Hz
    sentence : str
        Any text; the same text is the same vowels and consonants.
    take : str
        Any text; tells repetitions apart.
    style : str
        Any name; the same name is the same way of acting, whoever acts. Without one, emotions are acted as in
        `EMOTIONS`.
    seed : int

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        In [-1, 1].

    Raises
    ------
    ValueError
        If the emotion or the gender is unknown.

    Examples
    --------
    >>> signal = speech("anger", "anyone", gender="female", sr=16000)
    >>> bool(0.5 < len(signal) / 16000 < 1.5)
    True
    """
    if emotion not in EMOTIONS:
        raise ValueError(f"emotion {emotion!r} is unknown; use {', '.join(EMOTIONS)}")
    if gender not in PITCH_HZ:
        raise ValueError(f"gender {gender!r} is unknown; use {', '.join(PITCH_HZ)}")
    rng = generator(seed, "utterance", speaker, emotion, sentence, take)
    voice = _voice(speaker, gender, seed)
    manner = _manner(emotion, speaker, style, seed, rng)
    times, phones = _phones(sentence, manner, seed)

    n_samples = round(times[-1] * sr)
    frames = _frames(sr)
    excitation = [*_source(n_samples, sr, voice, manner, rng), *rng.normal(size=(2, n_samples))]
    f, t, (pulses, breath, hiss, hum) = stft(np.stack(excitation), **frames)
    f1, f2, f3, voicing, noise, centre = (np.interp(t, times, track) for track in phones)
    voiced = pulses * _tilt_gain(f, voice.tilt_db + manner.tilt_db) + breath
    spoken = voiced * voicing * _tract_gain(f, np.stack([f1, f2, f3]), voice, manner, sr)
    spoken += hiss * noise * _friction_gain(f, centre)
    _, parts = istft(np.stack([spoken, hum]) * channel_gain(f, voice.channel_db)[:, None], **frames)
    spoken, floor = parts[:, :n_samples]
    signal = _at_level(spoken, NEUTRAL_DBFS + voice.level_db + manner.level_db) + _at_level(floor, voice.floor_dbfs)
    return np.clip(signal, -1, 1).astype(np.float32)


def _frames(sr):
    """Return what frames of about `FRAME_S` are for scipy's `stft`; their length is quick to transform."""
    hop = next_fast_len(round(FRAME_S / 4 * sr))
    return {"fs": sr, "nperseg": 4 * hop, "noverlap": 3 * hop}


def _at_level(signal, level_db):
    """Scale a signal to a root mean square, in dB relative to full scale."""
    return signal * 10 ** (level_db / 20) / np.sqrt(np.mean(signal**2))


def generator(seed, *names):
    """Return a random generator of its own for each purpose, the same wherever and whenever it is asked for."""
    return np.random.default_rng([seed, zlib.crc32("|".join(names).encode())])


def _voice(speaker, gender, seed):
    """Draw a speaker's voice and channel."""
    rng = generator(seed, "voice", speaker)
    return Voice(
        pitch_hz=PITCH_HZ[gender] * 2 ** (rng.normal(0, 2) / 12),
        tract=TRACT[gender] * np.exp(rng.normal(0, 0.05)),
        breath_db=rng.normal(-26, 3),
        tilt_db=rng.normal(-3, 1),
        level_db=rng.normal(0, 3),
        floor_dbfs=rng.uniform(-75, -63),
        channel_db=draw_channel(rng),
    )


def _manner(emotion, speaker, style, seed, rng):
    """Draw how an utterance is spoken: the emotion, the style's and the speaker's way of expressing it, and chance."""
    habit = generator(seed, "habit", speaker, emotion).normal(size=len(fields(Manner)))
    if style:
        habit += STYLE * generator(seed, "style", style, emotion).normal(size=habit.size)
    chance = CHANCE * rng.normal(size=habit.size)
    drawn = Manner(*np.array(astuple(EMOTIONS[emotion])) + (habit + chance) * astuple(HABIT))
    return replace(drawn, **{name: np.clip(getattr(drawn, name), *limits) for name, limits in LIMITS.items()})


def _phones(sentence, manner, seed):
    """Lay out syllables in time: silence, five times a consonant and a vowel, silence.

    Returns
    -------
    times : ndarray, shape (n_knots,), s
        Where each phone's steady part begins and ends; in between, tracks move in a straight line.
    tracks : ndarray, shape (6, n_knots)
        F1, F2, F3 (Hz), voice (0 to 1), noise (0 to 1) and the noise's centre (Hz).
    """
    rng = generator(seed, "sentence", sentence)
    vowels = VOWELS[rng.integers(len(VOWELS), size=N_SYLLABLES)]
    consonants = CONSONANTS[rng.integers(len(CONSONANTS), size=N_SYLLABLES)]
    targets = np.empty((2 * N_SYLLABLES + 2, 6))
    targets[1:-1:2] = consonants
    targets[2:-1:2] = np.hstack([vowels, np.tile([1.0, 0.0, 4000.0], (N_SYLLABLES, 1))])
    targets[0], targets[-1] = targets[1], targets[-2]
    targets[[0, -1], 3:5] = 0
    durations = np.array([EDGE_S, *[CONSONANT_S, VOWEL_S] * N_SYLLABLES, EDGE_S])
    durations[-2] *= 1.4  # the last syllable is lengthened
    durations[1:-1] *= rng.uniform(0.8, 1.2, size=2 * N_SYLLABLES) * np.exp(-manner.tempo)
    ends = np.cumsum(durations)
    steady = np.stack([ends - 0.8 * durations, ends - 0.2 * durations], axis=1)
    steady[0, 0], steady[-1, 1] = 0, ends[-1]
    return steady.ravel(), np.repeat(targets, 2, axis=0).T


def _source(n_samples, sr, voice, manner, rng):
    """Return the derivative of the flow through the glottis, and breath noise, each of shape (n_samples,)."""
    place = np.linspace(-0.5, 0.5, n_samples)
    accents = np.interp(place, np.linspace(-0.5, 0.5, N_SYLLABLES + 2), rng.normal(size=N_SYLLABLES + 2))
    pitch_st = manner.pitch_st + manner.rise_st * place + manner.range_st * accents
    pitch_hz = voice.pitch_hz * 2 ** (pitch_st / 12)
    cycle = np.cumsum(pitch_hz / sr)
    wobble = rng.normal(size=(2, int(2 * cycle[-1]) + 2))
    cycle = np.cumsum(pitch_hz / sr * (1 + manner.jitter * wobble[0, cycle.astype(int)]))
    strength = 1 + 3 * manner.jitter * wobble[1, cycle.astype(int)]
    opening = (cycle % 1) / manner.open_quotient
    is_open = opening < 1
    pulses = np.where(is_open, opening * (2 - 3 * opening), 0) * strength
    breath = rng.normal(size=n_samples) * np.where(is_open, 1, 0.4)
    return pulses, breath * 10 ** ((voice.breath_db + manner.breath_db) / 20)


def _tilt_gain(f, tilt_db):
    """Return a slope above 500 Hz as gain, shape (n_bins, 1)."""
    return 10 ** (tilt_db * np.log2(np.maximum(f, 500) / 500) / 20)[:, None]


def _tract_gain(f, formants, voice, manner, sr):
    """Return the vocal tract's resonances as complex gain.

    Parameters
    ----------
    f : ndarray, shape (n_bins,), Hz
    formants : ndarray, shape (3, n_frames), Hz
        Of an average man; the higher ones, up to half the rate, are those of a uniform tube of 17.5 cm.

    Returns
    -------
    ndarray of complex, shape (n_bins, n_frames)
    """
    scale = voice.tract * np.exp(manner.smile)
    moving = scale * np.exp([[manner.opening], [0], [0]]) * formants
    fixed = scale * np.arange(3500.0, sr / 2 / scale, 1000.0)[:, None]
    f = f[:, None]
    gain = 1.0
    for centre in (*fixed, *moving):
        width = 50 + 0.05 * centre
        gain = gain * (centre**2 / (centre**2 - f**2 + 1j * f * width))
    return gain


def _friction_gain(f, centre):
    """Return friction noise's spectrum as gain: a hill about its centre, shape (n_bins, n_frames)."""
    octaves = np.log2(np.maximum(f, 20)[:, None] / centre)
    return FRICTION * np.exp(-((octaves / 0.9) ** 2))


def draw_channel(rng):
    """Draw what a microphone and a room add to each frequency: dB at knots that are equally spaced in mel."""
    waves = np.cos(np.pi * np.outer(np.linspace(0, 1, N_KNOTS), np.arange(1, N_RIPPLES + 1)))
    return waves @ rng.normal(0, RIPPLE_DB, N_RIPPLES)


def channel_gain(f, channel_db):
    """Return a channel's gain at some frequencies (Hz), shape (n_bins,)."""
    mel = np.log1p(f / 700) / np.log1p(KNOTS_HZ / 700)
    return 10 ** (np.interp(mel, np.linspace(0, 1, N_KNOTS), channel_db) / 20)
