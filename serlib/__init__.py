"""Speech emotion recognition on seven corpora: from file names to honest numbers.

The modules are read in this order, and each imports only those before it: ``labels``, ``settings``, ``cache``,
``corpora``, ``audio``, ``synthetic``, ``index``, ``doctor``, ``download``, ``interchange``, ``split``, ``audit``,
``features``, ``model``, ``evaluate``, ``uncertainty``, ``predict``, ``figures``, ``widgets``, ``cli``. ``import
serlib`` loads none of them; ``serlib.index`` loads when it is first named.
"""

import importlib

__version__ = "0.1.0"

MODULES = (
    "labels",
    "settings",
    "cache",
    "corpora",
    "audio",
    "synthetic",
    "index",
    "doctor",
    "download",
    "interchange",
    "split",
    "audit",
    "features",
    "model",
    "evaluate",
    "uncertainty",
    "predict",
    "figures",
    "widgets",
    "cli",
)


def __getattr__(name):
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'serlib' has no attribute {name!r}; its modules are {', '.join(MODULES)}")


def __dir__():
    return [*globals(), *MODULES]
