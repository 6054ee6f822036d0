"""A bundle's contract: what ``bundle.json`` holds, read and checked; where bundles are found."""

import base64
import hashlib
import io
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from .. import features, labels, settings, storage
from .distance import DistanceDetector
from .novelty import NoveltyDetector
from .voice import VoiceCentre

BUNDLE_FORMAT = 3
MAX_BYTES = 256 << 20  # of a model's file; that of `paper` has 0.3 MB, a forest of a large corpus 100 MB
SHIPPED = Path(__file__).parents[1] / "bundles"
GOLDEN_TOLERANCE = 1e-3  # of a probability: other processors round otherwise, other features differ by far more

Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0)]
Text = Annotated[str, Meta(max_length=1000)]


class Score(msgspec.Struct, frozen=True):
    """A score, with the protocol that it was measured under."""

    protocol: Text
    n: Count
    accuracy: Share
    uar: Share


class UnseenScore(Score, frozen=True):
    """A score on unseen speakers; an interval for fewer than six speakers is None."""

    n_folds: Count = 0
    seed: int = 0
    uar_ci95: tuple[Share, Share] | None = None
    per_emotion: dict[Text, Share | None] = {}


class NeverHeard(msgspec.Struct, frozen=True):
    """A score on a corpus that a model never heard, plain and after a few sentences of each speaker, in any mood.

    Attributes
    ----------
    n, n_speakers : int
    uar, uar_calibrated : float
    uar_ci95, uar_calibrated_ci95 : (float, float) or None
        95 % intervals over speakers; None for fewer than six.
    n_sentences : int
        How many of each speaker's sentences the calibration took; they are not tested.
    calibration_error : float
        Expected calibration error of the plain probabilities.
    """

    corpus: Text
    n: Count
    n_speakers: Count
    uar: Share
    uar_ci95: tuple[Share, Share] | None
    n_sentences: Count
    uar_calibrated: Share
    uar_calibrated_ci95: tuple[Share, Share] | None
    calibration_error: Share


class Training(msgspec.Struct, frozen=True):
    """Which rows a model was trained, validated and scored on; what the validation curve was drawn from."""

    protocol: Text
    seed: int | None
    n_train: Count
    n_test: Count
    n_validation: Count
    validation: Text


class Golden(msgspec.Struct, frozen=True):
    """Synthetic speech (WAV, base64), and what the model answers to it."""

    wav_base64: str
    probabilities: tuple[Share, ...]


class Bundle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trained model's contract, as ``bundle.json`` holds it.

    Attributes
    ----------
    corpora : tuple of str
        What it was trained on.
    synthetic : bool
        Whether that was synthetic speech.
    emotions : tuple of str
        What the outputs mean, in this order.
    recipe : str
    features : dict
        A tagged struct, as `features.to_dict` returns it.
    model : dict
        The classifier's class and parameters.
    epochs : int or None
    seed : int
    task : str
        As `index.fingerprint` returns it.
    relabelled : dict
        What `index.relabel` was asked for: ``mapping``, ``only``, ``by_gender``; empty if nothing.
    split : Training
    speakers : tuple of str
        Whom it was trained on.
    score : Score
        On the split's test part.
    speaker_independent : UnseenScore or None
        The score on unseen speakers, with its interval; None until it has been measured.
    never_heard : tuple of NeverHeard
        Scores on corpora that it never heard, if they were measured.
    voice : VoiceCentre or None
        What calibrates it to a stranger's voice, if it was made for strangers.
    licence : str
        Under which the model may be passed on; empty if nobody has said.
    novelty : NoveltyDetector
    distance : DistanceDetector or None
        What tells a voice from afar, if it was made for strangers.
    versions : dict of str to str
        Of Python and the libraries that made it.
    golden : Golden
    onnx_sha256 : str

    Examples
    --------
    >>> from serlib import bundle
    >>> contract = bundle.read("emodb-paper")
    >>> contract.corpus, contract.kind.shape
    ('emodb', (50,))
    """

    format: int = BUNDLE_FORMAT
    corpora: Annotated[tuple[Text, ...], Meta(min_length=1)]
    synthetic: bool
    emotions: Annotated[tuple[Text, ...], Meta(min_length=2)]
    recipe: Annotated[str, Meta(pattern=r"^[\w.+-]{1,200}$")]
    features: dict
    model: dict
    epochs: Annotated[int, Meta(ge=1)] | None
    seed: int
    task: Text
    labels: str | dict[str, str | None] | None
    relabelled: dict[str, dict[Text, Text] | list[Text] | bool] = {}
    split: Training
    speakers: tuple[Text, ...]
    score: Score
    speaker_independent: UnseenScore | None = None
    never_heard: tuple[NeverHeard, ...] = ()
    voice: VoiceCentre | None = None
    licence: Text = ""
    novelty: NoveltyDetector
    distance: DistanceDetector | None = None
    versions: dict[str, str]
    golden: Golden
    onnx_sha256: str

    @property
    def kind(self):
        """The features, as an object."""
        return features.from_dict(self.features)

    @property
    def corpus(self):
        """The corpora's ids, joined by ``+``."""
        return "+".join(self.corpora)


def shipped():
    """Return the bundles that come with this package: folders by name.

    Examples
    --------
    >>> from serlib import bundle
    >>> sorted(bundle.shipped())
    ['emodb-paper', 'strangers']
    """
    return {file.parent.name: file.parent for file in sorted(SHIPPED.glob("*/bundle.json"))}


def find(name):
    """Return the folder that a bundle's name means: a folder of that name, else one that comes with this package.

    Examples
    --------
    >>> from serlib import bundle
    >>> bundle.find("strangers").name
    'strangers'
    """
    return Path(name) if Path(name).exists() else shipped().get(str(name), Path(name))


def at_hand():
    """Return the bundles that can be used: those that come with this package, and those of the current profile.

    Returns
    -------
    bundles : dict of str to Path
        Folders by what to call them.
    unusable : dict of str to str
        Why others cannot be used, and what to do.

    Examples
    --------
    >>> from serlib import bundle
    >>> bundles, unusable = bundle.at_hand()
    >>> "emodb-paper" in bundles
    True
    """
    bundles, unusable = shipped(), {}
    for folder in sorted(file.parent for file in settings.current().models.glob("*/bundle.json")):
        try:
            read(folder)
            bundles[settings.short(folder)] = folder
        except (OSError, ValueError) as error:
            unusable[settings.short(folder)] = str(error)
    return bundles, unusable


def read(folder):
    """Read and check a bundle's contract, without loading the model.

    Parameters
    ----------
    folder : path-like
        As `find` takes it.

    Returns
    -------
    Bundle

    Raises
    ------
    FileNotFoundError
        If there is no bundle.
    ValueError
        If it is damaged or of another version.

    Examples
    --------
    >>> from serlib import bundle
    >>> bundle.read("emodb-paper").emotions
    ('anger', 'boredom', 'disgust', 'fear', 'happiness', 'neutral', 'sadness')
    """
    folder, again = find(folder), "train the model again"
    file = folder / "bundle.json"
    if not file.is_file():
        others = f"or name one that comes with serlib ({', '.join(shipped())})"
        raise FileNotFoundError(
            f"{folder} is not a bundle (no bundle.json); make one with 'python -m serlib train', {others}"
        )
    try:
        contract = storage.read_json(file)
        if isinstance(contract, dict) and contract.get("format") != BUNDLE_FORMAT:
            raise ValueError(f"its format is {contract.get('format')!r:.20}, not {BUNDLE_FORMAT}")
        bundle = msgspec.convert(contract, Bundle)
        kind = bundle.kind
        numbers_per_s = getattr(kind, "numbers_per_s", 0)
        if numbers_per_s > features.MAX_NUMBERS_PER_S:
            raise ValueError(f"its features take {numbers_per_s:,.0f} numbers a second, more than any of ours")
        bundle.novelty.check(kind.shape[-1])
        for part in filter(None, (bundle.voice, bundle.distance)):
            part.check(kind.shape[-1])
        if labels.ordered(bundle.emotions) != bundle.emotions:
            raise ValueError(f"its emotions are not in the vocabulary's order: {bundle.emotions}")
        if len(bundle.golden.probabilities) != len(bundle.emotions):
            raise ValueError(
                f"it has {len(bundle.golden.probabilities)} probabilities for {len(bundle.emotions)} emotions"
            )
    except (ValueError, msgspec.ValidationError) as error:
        raise ValueError(f"{folder} has a contract that cannot be used: {error}; {again}") from None
    if hashlib.sha256(read_part(folder, "model.onnx")).hexdigest() != bundle.onnx_sha256:
        what = "was altered or damaged: it is not the file that bundle.json describes"
        raise ValueError(f"{folder / 'model.onnx'} {what}; {again}")
    return bundle


def read_part(folder, name):
    """Read a file of a bundle: bytes, at most `MAX_BYTES`.

    Examples
    --------
    >>> from serlib import bundle
    >>> bundle.read_part(bundle.find("emodb-paper"), "MODEL_CARD.md").decode().splitlines()[0]
    '# emodb, recipe paper'
    """
    file = Path(folder) / name
    if not file.is_file():
        raise ValueError(f"{file} is missing; train the model again")
    with open(file, "rb") as opened:
        content = opened.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"{file} has more than {MAX_BYTES:,} bytes; expected a small model. Train the model again")
    return content


def check_golden(bundle, run):
    """Raise ValueError unless a loaded model answers to the golden input as it did when it was saved."""
    expected = np.array([bundle.golden.probabilities])
    try:
        wav = base64.b64decode(bundle.golden.wav_base64, validate=True)
        array = features.from_file(io.BytesIO(wav), features=bundle.kind)
    except ValueError as error:
        raise ValueError(
            f"the bundle of {bundle.corpus} cannot read its golden input ({error}); train it again"
        ) from None
    answer = np.asarray(run(array[None]))
    if answer.shape != expected.shape or not np.abs(answer - expected).max() <= GOLDEN_TOLERANCE:
        raise ValueError(
            f"the bundle of {bundle.corpus} fails its self-test: it answers {np.round(answer, 3).tolist()} to its"
            f" golden input, and answered {np.round(expected, 3).tolist()} when it was saved; train it again"
        )
