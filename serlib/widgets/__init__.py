"""Controls that choose the arguments of draw functions, and the picture that comes of them.

A widget computes nothing: what its draw function needs is passed in, or kept from the first time. Options come from
the data, so that what is missing cannot be chosen. A callback has no caller that could see it fail, so a widget shows
the traceback in its message, in a block of the class `ERROR` that headless runs look for.
"""

from .base import ERROR, PLAYED_HZ, PROTOCOL_NAMES, InteractiveFigure
from .corpora import explore_corpora
from .mfcc import explore_mfcc
from .results import browse_across, browse_results, browse_scores, compare_recipes
from .splits import play_with_split
from .training import Monitor, explore_network, watch_training
from .voice import MAX_UPLOAD_BYTES, Recorder, hear_recordings, talk
from .windows import browse_windows

__all__ = [
    "ERROR",
    "MAX_UPLOAD_BYTES",
    "PLAYED_HZ",
    "PROTOCOL_NAMES",
    "InteractiveFigure",
    "Monitor",
    "Recorder",
    "browse_across",
    "browse_results",
    "browse_scores",
    "browse_windows",
    "compare_recipes",
    "explore_corpora",
    "explore_mfcc",
    "explore_network",
    "hear_recordings",
    "play_with_split",
    "talk",
    "watch_training",
]
