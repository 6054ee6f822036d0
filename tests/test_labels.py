import re

import pytest

from serlib import labels


def test_emotions_are_put_into_the_order_of_the_vocabulary_each_once():
    assert labels.ordered(["surprise", "anger", "boredom", "anger"]) == ("anger", "boredom", "surprise")


def test_an_unknown_emotion_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"\['happy'\] \(1 in all\) are unknown; use anger, boredom, calm"):
        labels.ordered(["anger", "happy"])


def test_every_emotion_has_a_colour_of_its_own():
    assert tuple(labels.COLOURS) == labels.EMOTIONS
    assert len(set(labels.COLOURS.values())) == len(labels.EMOTIONS)
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in labels.COLOURS.values())
