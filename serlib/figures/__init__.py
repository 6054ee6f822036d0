"""Draw functions: tables in, axes out; and `save`.

Every function takes the axes it draws on, makes some if there are none, and returns them. None of them computes a
metric, reads a file or changes matplotlib's settings.
"""

from .confusion import draw_confusion, draw_listeners
from .corpora import (
    MEASURES,
    draw_comparison,
    draw_durations,
    draw_emotions,
    draw_levels,
    draw_speakers,
    marks,
    same_sentence,
)
from .mfcc import (
    MfccFigure,
    draw_emotions_as_mfcc,
    draw_mean_mfcc,
    draw_mel_bands,
    draw_mfcc,
    draw_steps,
    draw_waveform,
)
from .scores import (
    draw_across,
    draw_calibration,
    draw_knowledge,
    draw_ladder,
    draw_layers,
    draw_recalls,
    draw_recipes,
    draw_score,
    draw_scores,
)
from .splits import draw_fold, draw_parts, draw_split
from .style import (
    CHANCE,
    GENDER_COLOURS,
    MARKERS,
    PROTOCOL_COLOURS,
    SHARED,
    TEST,
    TRAIN,
    in_order,
    save,
    stamp,
    title_of,
)
from .timeline import draw_windows
from .training import draw_architecture, draw_history
from .trust import draw_groups, draw_probabilities, draw_reliability, draw_speakers_scores

__all__ = [
    "CHANCE",
    "GENDER_COLOURS",
    "MARKERS",
    "MEASURES",
    "PROTOCOL_COLOURS",
    "SHARED",
    "TEST",
    "TRAIN",
    "MfccFigure",
    "draw_across",
    "draw_architecture",
    "draw_calibration",
    "draw_comparison",
    "draw_confusion",
    "draw_durations",
    "draw_emotions",
    "draw_emotions_as_mfcc",
    "draw_fold",
    "draw_groups",
    "draw_history",
    "draw_knowledge",
    "draw_ladder",
    "draw_layers",
    "draw_levels",
    "draw_listeners",
    "draw_mean_mfcc",
    "draw_mel_bands",
    "draw_mfcc",
    "draw_parts",
    "draw_probabilities",
    "draw_recalls",
    "draw_recipes",
    "draw_reliability",
    "draw_score",
    "draw_scores",
    "draw_speakers",
    "draw_speakers_scores",
    "draw_split",
    "draw_steps",
    "draw_waveform",
    "draw_windows",
    "in_order",
    "marks",
    "same_sentence",
    "save",
    "stamp",
    "title_of",
]
