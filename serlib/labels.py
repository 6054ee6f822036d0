"""The emotion vocabulary: names, order, colours.

Every table, model output, axis and legend uses these names in this order, and a corpus's own words after them. Calm,
boredom and neutral are three emotions, never merged unless somebody asks; TESS's "pleasant surprise" is called
``surprise``.
"""

import colorsys
import re

EMOTIONS = ("anger", "boredom", "calm", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")

GENDERS = ("female", "male")

# Distinct for colour-blind readers: Okabe & Ito's palette (https://jfly.uni-koeln.de/color/), its black for
# `neutral` lightened to grey and one brown added, since it has eight colours and we have nine emotions.
COLOURS = {
    "anger": "#D55E00",
    "boredom": "#8C6D46",
    "calm": "#56B4E9",
    "disgust": "#009E73",
    "fear": "#6A4C93",
    "happiness": "#E69F00",
    "neutral": "#8A8A8A",
    "sadness": "#0072B2",
    "surprise": "#CC79A7",
}

# Words that people write for an emotion, in file and folder names; never used to read labels.
WORDS = {
    "anger": ("anger", "angry", "ang"),
    "boredom": ("boredom", "bored"),
    "calm": ("calm",),
    "disgust": ("disgust", "disgusted", "dis"),
    "fear": ("fear", "fearful", "afraid", "fea"),
    "happiness": ("happiness", "happy", "joy", "hap"),
    "neutral": ("neutral", "neu"),
    "sadness": ("sadness", "sad"),
    "surprise": ("surprise", "surprised", "ps", "sur"),
}
WORD = re.compile(r"[^\W\d_][\w-]{0,30}")  # a corpus's own
FIRST_HUE, GOLDEN = 0.2, 0.618  # the golden ratio's steps keep apart whatever their number


def recognise(text):
    """Return the emotions that a text names in English, as in a folder's name.

    Parameters
    ----------
    text : str

    Returns
    -------
    tuple of str
        In the vocabulary's order; empty if no word is recognised.

    Examples
    --------
    >>> recognise("OAF_Pleasant_surprise")
    ('surprise',)
    """
    words = set(re.findall("[a-z]+", text.lower()))
    return tuple(emotion for emotion in EMOTIONS if words.intersection(WORDS[emotion]))


def fault(emotion):
    """Return what keeps a text from being the name of an emotion, and what to write instead; None if nothing does.

    Any word in lower case is one: those of the vocabulary, and a corpus's own. What people write for an emotion of the
    vocabulary is refused, so that corpora have the same names for the same.

    Examples
    --------
    >>> fault("hopeful")
    >>> fault("Angry")
    "'Angry'; expected 'anger', as all corpora call it"
    """
    if emotion in EMOTIONS:
        return None
    meant = [known for known, words in WORDS.items() if str(emotion).lower() in words]
    if meant:
        return f"{emotion!r}; expected {meant[0]!r}, as all corpora call it"
    if isinstance(emotion, str) and WORD.fullmatch(emotion) and emotion == emotion.lower():
        return None
    return f"{emotion!r}; expected one of {', '.join(EMOTIONS)}, or a word of your own in lower case"


def ordered(emotions):
    """Put emotions into the order of the vocabulary, each once; words of your own come after it, by the alphabet.

    Parameters
    ----------
    emotions : iterable of str

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If one of them is no name of an emotion (see `fault`).

    Examples
    --------
    >>> ordered(["hopeful", "sadness", "anger", "sadness"])
    ('anger', 'sadness', 'hopeful')
    """
    present = set(emotions)
    if faults := sorted(filter(None, map(fault, present))):
        raise ValueError(f"an emotion is {faults[0]}")
    known = tuple(emotion for emotion in EMOTIONS if emotion in present)
    return known + tuple(sorted(present.difference(EMOTIONS)))


def colours(emotions):
    """Return {emotion: colour}, in the order of `ordered`; words of your own get hues that are far from each other.

    Examples
    --------
    >>> from serlib import labels
    >>> labels.colours(["sadness", "anger"])
    {'anger': '#D55E00', 'sadness': '#0072B2'}
    """
    emotions = ordered(emotions)
    own = [emotion for emotion in emotions if emotion not in COLOURS]
    hues = ((FIRST_HUE + GOLDEN * k) % 1 for k in range(len(own)))
    chosen = {emotion: _hex(colorsys.hls_to_rgb(hue, 0.45, 0.6)) for emotion, hue in zip(own, hues, strict=True)}
    return {emotion: COLOURS.get(emotion) or chosen[emotion] for emotion in emotions}


def _hex(rgb):
    return "#" + "".join(f"{round(255 * share):02X}" for share in rgb)
