import re

import matplotlib as mpl
import numpy as np
import pytest

from serlib import labels


def test_emotions_are_put_into_the_order_of_the_vocabulary_each_once():
    assert labels.ordered(["surprise", "anger", "boredom", "anger"]) == ("anger", "boredom", "surprise")


@pytest.mark.parametrize(
    ("emotion", "message"),
    [
        ("happy", "'happy'; expected 'happiness', as all corpora call it"),
        ("ANGRY", "'ANGRY'; expected 'anger'"),
        ("Hope", "'Hope'; expected one of anger, boredom, calm, .*, or a word of your own in lower case"),
        ("", "''; expected one of"),
        ("very angry", "'very angry'; expected one of"),
        ("p_anger,", "'p_anger,'; expected one of"),
        (3, "3; expected one of"),
    ],
)
def test_what_is_no_emotion_is_named_with_what_to_write(emotion, message):
    with pytest.raises(ValueError, match=f"^an emotion is {message}"):
        labels.ordered(["anger", emotion])


def test_words_of_ones_own_come_last_and_have_colours_that_differ():
    own = ["hoffnung", "wut-laut", "stolz", "positive", "negative", "freude", "überraschung"]
    assert labels.ordered([*own, "sadness", "anger"]) == ("anger", "sadness", *sorted(own))
    colours = labels.colours([*own, "sadness", "anger"])
    assert tuple(colours) == ("anger", "sadness", *sorted(own))
    assert colours["anger"] == labels.COLOURS["anger"]
    rgb = np.array([mpl.colors.to_rgb(colours[emotion]) for emotion in own])
    distances = np.abs(rgb[:, None] - rgb[None]).sum(axis=2)
    assert distances[~np.eye(len(own), dtype=bool)].min() > 0.15


def test_every_emotion_has_a_colour_of_its_own():
    assert tuple(labels.COLOURS) == labels.EMOTIONS
    assert len(set(labels.COLOURS.values())) == len(labels.EMOTIONS)
    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in labels.COLOURS.values())
