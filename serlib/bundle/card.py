"""What a bundle says of itself: a sentence on how far to trust it, and the model card."""

import numpy as np

from .. import corpora
from .novelty import PASSING_SHARE

UARS = ("uar", "uar_calibrated")


def trust(bundle):
    """Say in a line how far a bundle's answers can be trusted: its score on unseen speakers, beside chance.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    str

    Examples
    --------
    >>> from serlib import bundle
    >>> bundle.trust(bundle.read("emodb-paper")).split("(")[0]
    'it recognises 58 % of each emotion on average in unseen speakers '
    """
    chance = f"chance {1 / len(bundle.emotions):.2f}"
    if bundle.never_heard:
        plain, calibrated = (np.mean([getattr(one, name) for one in bundle.never_heard]) for name in UARS)
        names = ", ".join(corpora.short_title(one.corpus) for one in bundle.never_heard)
        return (
            f"it recognises {_percent(plain)} of each emotion on average in corpora it never heard ({names}), "
            f"{_percent(calibrated)} after {bundle.never_heard[0].n_sentences} sentences of the speaker "
            f"(UAR {plain:.2f} and {calibrated:.2f}; {chance})"
        )
    if not bundle.speaker_independent:
        return f"its score on unseen speakers is unknown; {chance}"
    uar, interval = bundle.speaker_independent.uar, bundle.speaker_independent.uar_ci95
    spread = f"95 % interval {interval[0]:.2f} to {interval[1]:.2f}" if interval else "too few speakers for an interval"
    share = f"{_percent(uar)} of each emotion on average in unseen speakers"
    return f"it recognises {share} (UAR {uar:.2f}, {spread}; {chance})"


def _percent(share):
    return f"{100 * share:.0f} %"


def card(bundle):
    """Write the model card: what the model is for, what it was trained on, how far to trust it.

    Parameters
    ----------
    bundle : Bundle

    Returns
    -------
    str
        Markdown.

    Examples
    --------
    >>> from serlib import bundle
    >>> bundle.card(bundle.read("emodb-paper")).splitlines()[0]
    '# emodb, recipe paper'
    """
    source = f"synthetic speech in the layout of {bundle.corpus}" if bundle.synthetic else bundle.corpus
    score, unseen, chance = bundle.score, bundle.speaker_independent, 1 / len(bundle.emotions)
    if unseen:
        interval = unseen.uar_ci95
        spread = (
            f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}" if interval else "too few speakers for an interval"
        )
        trust = f"UAR {unseen.uar:.3f} ({spread}; {unseen.protocol}, {unseen.n} utterances)"
    elif bundle.never_heard:
        trust = "measured on corpora that it never heard, see below"
    else:
        trust = "not measured yet (`python -m serlib evaluate --into BUNDLE` does)"
    whom = "speakers" if len(bundle.corpora) == 1 else "corpora"
    tested = f"UAR {score.uar:.3f}, accuracy {score.accuracy:.3f} ({score.protocol}, {score.n} utterances)"
    epochs = f", {bundle.epochs} epochs" if bundle.epochs else ""
    trained = f"{bundle.split.n_train} utterances of {len(bundle.speakers)} speakers{epochs}"
    curve = f"{bundle.split.n_validation} utterances: {bundle.split.validation}; nothing was selected by it"
    curve = curve if bundle.epochs else bundle.split.validation
    return f"""# {source}, recipe {bundle.recipe}

Says which emotion a recorded sentence is acted with: {", ".join(bundle.emotions)}.

| | |
|---|---|
| on unseen speakers | {trust} |
| on its test part | {tested} |
| chance level (UAR) | {chance:.3f} |
| trained on | {trained}, seed {bundle.seed} |
| validation curve | {curve} |
| task | {bundle.task} (a hash of recordings and emotions){_relabelled(bundle.relabelled)} |
{_of_corpora(bundle)}{_of_strangers(bundle, chance)}
## Intended use

Teaching, and a baseline for research that says its protocol. **Not for** decisions about people: not in hiring,
schools, policing, health or insurance, nor to find out what somebody feels.

## Run it elsewhere

`python -m serlib export` writes the classifier as ONNX{", Keras or LiteRT" if bundle.epochs else ""}.

- Input: float32, a row per utterance: {_input(bundle)}.
- Output: float32, a row per utterance: the probabilities of {", ".join(bundle.emotions)}.

## Limits

- The corpora hold **acted** emotions, recorded in few rooms by few speakers. An acted label is not what somebody feels,
  and listeners often disagree with it.
- It knows the languages, microphones and ages of its training recordings; others may be unlike anything it has heard.
- It always names one of its emotions, also of a cough, of music or of silence. A recording that lies farther from
  those it was trained on than {PASSING_SHARE:.0%} of what left-out {whom} said is called unfamiliar; one that lies
  nearer may still be something else.
- A random split has the same speakers on both sides; judge the model by its score on unseen speakers.
{_by_emotion(unseen, chance)}"""


def _input(bundle):
    """Describe the classifier's input."""
    kind = bundle.kind
    fields = {key: value for key, value in bundle.features.items() if key != "kind"}
    settings = ", ".join(
        f"{key} {' and '.join(map(str, value)) if isinstance(value, (list, tuple)) else value}"
        for key, value in fields.items()
    )
    shape = " x ".join(map(str, kind.shape))
    return f"{shape} numbers, which `serlib.features` makes of mono sound at {kind.sr:,} Hz (`{kind.name}`: {settings})"


def _of_corpora(bundle):
    """Return the card's rows on licences and each corpus: language, listeners; none for synthetic speech."""
    rows = [f"| licence of the model | {bundle.licence} |\n"] if bundle.licence else []
    for name in () if bundle.synthetic else bundle.corpora:
        try:
            passport = corpora.get(name)
        except ValueError:  # one of your own, which is not at hand
            continue
        facts = {"corpus": passport.title, "language": passport.language, "licence of the corpus": passport.licence}
        facts["cite the corpus"] = passport.citation
        for test in passport.listeners[:1]:
            facts["listeners recognise"] = f"{test['accuracy']:.3f} ({test['condition']})"
        rows += [f"| {key} | {fact} |\n" for key, fact in facts.items() if fact]
    return "".join(rows)


def _by_emotion(unseen, chance):
    """Return the card's table of recalls on unseen speakers, once they are known."""
    if not unseen:
        return ""
    known = {emotion: recall for emotion, recall in unseen.per_emotion.items() if recall is not None}
    worst = min(known, key=known.get)
    lines = "".join(f"| {emotion} | {recall:.3f} |\n" for emotion, recall in known.items())
    least = f"It recognises {worst} least ({known[worst]:.3f}; chance {chance:.3f})."
    return f"\n## Recall on unseen speakers\n\n| emotion | recall |\n|---|---|\n{lines}\n{least}\n"


def _relabelled(asked):
    """Describe how the corpora's emotions were mapped."""
    said = [f"{old} is called {new}" for old, new in asked.get("mapping", {}).items()]
    said += [f"only {', '.join(asked['only'])}"] if "only" in asked else []
    said += ["female and male voices are classes of their own"] if "by_gender" in asked else []
    return f"; {'; '.join(said)}" if said else ""


def _of_strangers(bundle, chance):
    """Return the card's table of scores on unseen corpora, without and with calibration to the speaker."""
    if not bundle.never_heard:
        return ""

    def spread(interval):
        return f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""

    rows = [
        f"| {corpora.get(one.corpus).title} | {one.n_speakers} | {one.n} | {one.uar:.3f}{spread(one.uar_ci95)} |"
        f" {one.uar_calibrated:.3f}{spread(one.uar_calibrated_ci95)} | {one.calibration_error:.3f} |"
        for one in bundle.never_heard
    ]
    n = bundle.never_heard[0].n_sentences
    return f"""
## On strangers

Scores on whole corpora that it never heard: other people, rooms, microphones, and in part another language. UAR, with
95 % intervals over speakers (none for fewer than six); chance is {chance:.3f}. Calibrated: the mean of {n} sentences of
each speaker, in any mood, was taken away first; they are not tested.

| corpus | speakers | utterances | plain | calibrated | calibration error |
|---|---|---|---|---|---|
{chr(10).join(rows)}
"""
