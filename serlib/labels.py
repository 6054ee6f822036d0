"""The emotion vocabulary: names, order, colours.

Every table, model output, axis and legend uses these names in this order. Calm, boredom and neutral are three
emotions, never merged; TESS's "pleasant surprise" is called ``surprise``.
"""

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
