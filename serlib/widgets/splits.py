"""Choose a split, and see who is trained on, who is tested, and what leaks."""

import contextlib
import functools
import html

import ipywidgets
import numpy as np
import pandas as pd

from .. import audit, figures, settings
from .. import split as splitting
from .base import PROTOCOL_NAMES, Html, InteractiveFigure, offer

MAX_FOLDS = 12  # that can be chosen; more are no other lesson


def play_with_split(tables):
    """Choose corpus, protocol, folds and seed, and see who is trained on, who is tested, and what leaks.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Index tables by corpus id.

    Returns
    -------
    InteractiveFigure
    """
    controls = {
        "corpus": ipywidgets.Dropdown(
            options=[(figures.title_of(name), name) for name in tables], description="corpus"
        ),
        "protocol": ipywidgets.Dropdown(description="protocol"),
        "n_folds": ipywidgets.Dropdown(description="folds"),
        "fold": ipywidgets.Dropdown(description="fold shown"),
        "seed": ipywidgets.IntSlider(settings.SEED, 0, 100, description="seed", continuous_update=False),
    }

    @functools.lru_cache(maxsize=64)
    def made(corpus, protocol, n_folds, seed):
        if protocol == "random":  # `make` would take the parts that stand in the table, whatever the seed
            return splitting.random(tables[corpus], n_folds=n_folds if n_folds > 1 else None, seed=seed)
        return splitting.make(tables[corpus], protocol, n_folds=n_folds, seed=seed)

    @functools.cache
    def usual_folds(corpus):
        """Return the usual number of folds of each protocol that the corpus allows."""
        usual = {"random": 1}
        for protocol in ("speakers", "loso", "sentences"):
            with contextlib.suppress(ValueError):
                usual[protocol] = made(corpus, protocol, None, settings.SEED).n_folds
        return usual

    def folds(corpus, protocol):
        """Return what can be chosen as the number of folds."""
        if protocol == "loso":
            n_speakers = usual_folds(corpus)[protocol]
            return [(f"{n_speakers}, one a speaker", n_speakers)]
        used = tables[corpus][tables[corpus]["part"] != ""]  # folds are drawn corpus by corpus
        if protocol == "random":
            most, least = used.groupby(["corpus", "emotion"]).size().min(), [("1, of a fifth", 1)]
        else:
            most, least = used.groupby("corpus")[protocol.removesuffix("s")].nunique().min(), []
        return [*least, *((str(n), n) for n in range(2, 1 + min(most, MAX_FOLDS)))]

    def adjust():
        corpus = controls["corpus"].value
        usual = usual_folds(corpus)
        offer(controls["protocol"], [(PROTOCOL_NAMES[protocol], protocol) for protocol in usual])
        protocol = controls["protocol"].value
        offer(controls["n_folds"], folds(corpus, protocol), usual[protocol])
        controls["seed"].disabled = protocol == "loso"
        n_folds = controls["n_folds"].value
        offer(controls["fold"], [(f"{fold + 1} of {n_folds}", fold) for fold in range(n_folds)])

    def draw(corpus, protocol, n_folds, fold, seed):
        split = made(corpus, protocol, n_folds, seed)
        alt = f"A bar for each of {split.table['speaker'].nunique()} speakers: utterances trained on, and tested."
        return figures.draw_fold(split, fold=fold), alt, _describe(split, fold)

    return InteractiveFigure(draw, controls, adjust=adjust)


def _describe(split, fold):
    """Return who is trained on and who is tested, what leaks, and what the score will mean, as HTML."""
    is_test = split.table["fold"] == fold
    train, test = split.table[~is_test], split.table[is_test]

    def counted(rows, what):
        n_speakers = rows["speaker"].nunique()
        return f"<b>{what}</b>: {len(rows):,} utterances of {n_speakers} speaker{'s' if n_speakers > 1 else ''}"

    lines = []
    for leak in splitting.leaks(train, test).itertuples():
        if leak.n:
            words = f"{leak.n:,} of {leak.n_test:,} tested utterances are {audit.IN_WORDS[leak.kind]}"
            lines.append(f"<b>⚠ {leak.kind}</b>: {words}, such as {html.escape(leak.examples)}")
        elif (test[splitting.LEAKS[leak.kind][-1]] == "").all():
            lines.append(f"<b>? {leak.kind}</b>: not looked for, since {audit.WHY_UNCHECKED[leak.kind]}")
        else:
            lines.append(f"<b>✓ {leak.kind}</b>: no tested utterance is {audit.IN_WORDS[leak.kind]}")
    whom = "speakers who are also in the training data (speaker-dependent)"
    if not split.is_speaker_dependent:
        whom = "speakers on whom the model was not trained (speaker-independent)"
    counts = pd.crosstab(split.table["speaker"], np.where(is_test, "tested", "trained on"))
    counts = counts.reindex(columns=["trained on", "tested"], fill_value=0).rename_axis(index=None, columns=None)
    return Html(
        "<div style='line-height: 1.45; max-width: 60em'>"
        f"<p>{counted(train, 'trained on')}; {counted(test, 'tested')}."
        f" The score will be for {whom}.</p>"
        f"<ul>{''.join(f'<li>{line}</li>' for line in lines)}</ul>"
        f"<details><summary>The numbers behind the bars, by speaker</summary>{counts.to_html(border=0)}</details></div>"
    )
