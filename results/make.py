"""Make corpora's results, and the README's tables from the passports and all results that are stored.

Every result is kept as soon as it is there; a further run makes only what is missing. Without a corpus, only the
README's tables are made.

usage: SERLIB_PROFILE=full python results/make.py emodb [--seeds 5]
       python results/make.py
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from serlib import corpora, evaluate, settings

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
PROTOCOLS = ("random", "speakers", "loso")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", help="corpora whose results are made")
    parser.add_argument("--seeds", type=int, default=5, help=f"how many, from {settings.SEED} on")
    options = parser.parse_args()
    for corpus in options.corpora:
        for protocol in PROTOCOLS:
            for recipe in settings.RECIPES.values():
                for seed in range(settings.SEED, settings.SEED + options.seeds):
                    result = evaluate.obtain(corpus, protocol=protocol, recipe=recipe, seed=seed, n_jobs=-1)
                    uar = evaluate.uar(result.predictions)
                    print(f"{corpus} {protocol} {recipe.name} seed {seed}: UAR {uar:.3f}", flush=True)
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
    print(README)


def with_tables(text):
    """Return the README's text with its tables made anew: between the comments that name them."""
    for name, content in (("corpora", corpus_table()), ("results", results_table(HERE))):
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(start)
        text = before + start + content + end + rest.split(end)[1]
    return text


def corpus_table():
    """Return the table of the corpora, as Markdown, from their passports."""
    lines = [
        "| corpus | language | utterances | speakers (women) | emotions | rate | licence |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in corpora.overview().itertuples():
        speakers, rate = f"{row.n_speakers} ({row.women})", f"{row.sample_rate_hz / 1000:g} kHz"
        cells = (row.title, row.language, f"{row.n_utterances:,}", speakers, row.emotions, rate, row.licence)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def results_table(folder):
    """Return the table of all results under `folder`, as Markdown.

    Each row is one corpus, protocol and recipe: the mean over its seeds, their standard deviation, and the mean of the
    95 % intervals over speakers.
    """
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(Path(folder).glob("*/*/*/seed-*.json"))]
    lines = [
        "| corpus | protocol | recipe | accuracy | UAR | 95 % interval over speakers | chance | runs |",
        "|---|---|---|---|---|---|---|---|",
    ]
    if not rows:
        return "\n".join(lines) + "\n"
    order = {"corpus": corpora.NAMES, "protocol": PROTOCOLS, "recipe": tuple(settings.RECIPES)}
    summaries = pd.DataFrame(rows).sort_values(list(order), key=lambda column: column.map(order[column.name].index))
    for (corpus, protocol, recipe), runs in summaries.groupby(list(order), sort=False):
        accuracy, uar = (f"{runs[m].mean():.3f} ± {runs[m].std(ddof=1):.3f}" for m in ("accuracy", "uar"))
        intervals = [limits for limits in runs["uar_ci95"] if isinstance(limits, list)]
        interval = " to ".join(f"{limit:.3f}" for limit in np.mean(intervals, axis=0)) if intervals else "–"
        chance, name = runs["chance"].iloc[0], corpora.short_title(corpus)
        lines.append(
            f"| {name} | {protocol} | {recipe} | {accuracy} | {uar} | {interval} | {chance:.3f} | {len(runs)} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
