"""The emotion vocabulary: names, order, colours.

Every table, model output, axis and legend uses these names in this order. Calm, boredom and neutral are three
emotions, never merged; TESS's "pleasant surprise" is called ``surprise``.
"""

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


def unknown(emotion):
    """Say that a word is no emotion of the vocabulary, which there are, and which one may be meant."""
    meant = recognise(str(emotion))
    hint = f" (perhaps {meant[0]!r}?)" if meant else ""
    return f"{emotion!r}; expected one of {', '.join(EMOTIONS)}{hint}"


def ordered(emotions):
    """Put emotions into the order of the vocabulary, each once.

    Parameters
    ----------
    emotions : iterable of str

    Returns
    -------
    tuple of str

    Raises
    ------
    ValueError
        If one of them is not in the vocabulary.

    Examples
    --------
    >>> ordered(["sadness", "anger", "sadness"])
    ('anger', 'sadness')
    """
    present = set(emotions)
    if unknown := sorted(map(str, present.difference(EMOTIONS))):
        raise ValueError(f"emotions {unknown[:3]} ({len(unknown)} in all) are unknown; use {', '.join(EMOTIONS)}")
    return tuple(emotion for emotion in EMOTIONS if emotion in present)
