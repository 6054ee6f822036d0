"""The profile, its folders and the seed; the only module that reads the environment."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

SEED = 42


@dataclass(frozen=True)
class Settings:
    """What was left unsaid: the profile, and the folders in which it reads and writes.

    Examples
    --------
    >>> from serlib import settings
    >>> here = settings.current("tiny")
    >>> here.profile, here.seed, here.data.name
    ('tiny', 42, 'datasets')
    """

    profile: str
    data: Path
    csv: Path
    models: Path
    figures: Path
    results: Path
    runs: Path
    cache: Path
    seed: int = SEED

    def __str__(self):
        """Say all of it, a line each; of folders outside the project the name only, so that a page can be shown."""
        shown = {name: short(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        return "\n".join(f"{name:8} {value}" for name, value in shown.items())


def short(path):
    """Write a path so that a page with it can be shown: relative to the project, or only its last part.

    Examples
    --------
    >>> from serlib import settings
    >>> settings.short(settings.root() / "models" / "emodb-paper")
    'models/emodb-paper'
    """
    path, project = Path(path), root()
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else f"…/{path.name}"


def root():
    """Return the project's folder: the nearest one above the working folder that holds ``serlib/``, else that one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from serlib import settings
    >>> settings.root() in (Path.cwd(), *Path.cwd().parents)
    True
    """
    try:
        here = Path.cwd()
    except FileNotFoundError:
        raise FileNotFoundError("the working folder is gone; expected one that is there. Go to another") from None
    return next((folder for folder in (here, *here.parents) if (folder / "serlib" / "settings.py").is_file()), here)


def current(profile=None):
    """Read the settings from the environment: ``SERLIB_PROFILE``, ``SERLIB_DATA``, ``SERLIB_CACHE``.

    Parameters
    ----------
    profile : str, optional
        By default what ``SERLIB_PROFILE`` says.

    Returns
    -------
    Settings

    Raises
    ------
    ValueError
        If ``SERLIB_PROFILE`` is neither ``tiny`` nor ``full``.

    Examples
    --------
    >>> from serlib import settings
    >>> print(settings.current("tiny"))
    profile  tiny
    data     build/tiny/datasets
    csv      build/tiny/csv
    models   build/tiny/models
    figures  build/tiny/figures
    results  build/tiny/results
    runs     build/tiny/runs
    cache    build/tiny/cache
    seed     42
    """
    profile = profile or os.environ.get("SERLIB_PROFILE") or "tiny"
    project = root()
    if profile == "tiny":
        tiny = project / "build" / "tiny"
        names = ("datasets", "csv", "models", "figures", "results", "runs", "cache")
        return Settings(profile, *(tiny / name for name in names))
    if profile == "full":
        return Settings(
            profile,
            data=Path(os.path.expanduser(os.environ.get("SERLIB_DATA") or project / "datasets")),
            csv=project / "datasets" / "csv",
            models=project / "models",
            figures=project / "figures",
            results=project / "results",
            runs=project / "build" / "full" / "runs",
            cache=Path(os.path.expanduser(os.environ.get("SERLIB_CACHE") or platformdirs.user_cache_dir("serlib"))),
        )
    raise ValueError(f"SERLIB_PROFILE is {profile!r}; expected 'tiny' (synthetic speech) or 'full' (your corpora)")


def cached_weights_folder():
    """Return the folder ``weights`` in the cache."""
    cache = os.environ.get("SERLIB_CACHE") or platformdirs.user_cache_dir("serlib")
    return Path(os.path.expanduser(cache)) / "weights"


def weights_folder():
    """Return the folder of the encoders' weights: ``SERLIB_WEIGHTS``, else ``weights`` in the cache."""
    named = os.environ.get("SERLIB_WEIGHTS")
    return Path(os.path.expanduser(named)) if named else cached_weights_folder()


def bound_threads():
    """Keep linear-algebra libraries to one thread, before they are imported; nothing here is large enough for more.

    The threads that they would start wait busily, which costs a short command a third of its processor time.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def prepare_tensorflow():
    """Set what TensorFlow reads from the environment when it is imported: log errors only."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
