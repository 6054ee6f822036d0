"""Speech emotion recognition on seven corpora: from file names to honest numbers.

The modules are read in the order of `MODULES`, and each imports only those before it; nothing in the core imports a
satellite. ``import serlib`` loads none of them; ``serlib.index`` loads when it is first named.
"""

import importlib

__version__ = "0.3.0"

CORE = (
    "labels",
    "settings",
    "storage",
    "cache",
    "weights",
    "corpora",
    "audio",
    "synthetic",
    "index",
    "split",
    "features",
    "models",
    "recipes",
    "metrics",
    "results",
    "evaluate",
    "compare",
    "bundle",
    "predict",
)
SATELLITES = ("doctor", "download", "export", "audit", "interchange", "exercises")
MODULES = (*CORE, *SATELLITES, "figures", "readme_figures", "widgets", "cli")


def __getattr__(name):
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'serlib' has no attribute {name!r}; its modules are {', '.join(MODULES)}")


def __dir__():
    return [*globals(), *MODULES]
