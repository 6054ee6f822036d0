"""Make corpora's results, and the pages' tables from the passports and all results that are stored.

Every result is kept as soon as it is there; a further run makes only what is missing. Without a corpus, only the
tables of README.md and datasets/README.md are made.

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
PAGES = (HERE.parent / "README.md", HERE.parent / "datasets" / "README.md")
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
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(page)


def with_tables(text):
    """Return a page's text with what is generated made anew: between the comments that name it."""
    made = {"corpora": corpus_table, "passports": passports, "results": lambda: results_table(HERE)}
    for name, make in made.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if start in text:
            before, rest = text.split(start)
            text = before + start + make() + end + rest.split(end)[1]
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


def passports():
    """Return a section for each corpus, as Markdown: how to get it, licence, labels, defects, notes, citation."""
    return "\n".join(_section(corpora.get(name)) for name in corpora.NAMES)


def _section(passport):
    women = sum(speaker.gender == "female" for speaker in passport.speakers.values())
    counts = ", ".join(f"{emotion} {n:,}" for emotion, n in passport.by_emotion.items())
    steps = passport.download.get("steps")
    source = passport.download.get("url") or passport.download.get("files")
    fetched = f"`python -m serlib download {passport.id}` fetches it from <{source}>."
    lines = [
        f"### {passport.title}",
        "",
        f"- **Folder**: `{passport.folder}`, with files named like `{passport.example}`",
        f"- **Published**: {passport.n_utterances:,} utterances of {len(passport.speakers)} speakers ({women} women),"
        f" language {passport.language}, {passport.sample_rate_hz:,} Hz: {counts}",
        f"- **Get it**: {' '.join(steps) if steps else fetched}",
        f"- **Licence**: {passport.licence}",
    ]
    if len(passport.label_versions) > 1:
        versions = "; ".join(f"`{name}`: {what}" for name, what in passport.label_versions.items())
        lines.append(f"- **Labels** (`index --labels`): {versions}")
    for defect in dict.fromkeys(passport.defects.values()):
        stems = [f"`{stem}`" for stem, other in passport.defects.items() if other == defect]
        does = "kept out" if defect.policy == "drop" else "flagged"
        lines.append(f"- **Defect**, {does} as `{defect.flag}`: {defect.what} ({', '.join(stems)})")
    for heard in passport.listeners:
        rate = f"{heard['accuracy']:.1%} right"
        lines.append(f"- **Listeners** ({heard['condition']}): {rate}; {heard['source']}")
    lines += [f"- {note}" for note in passport.notes]
    return "\n".join([*lines, f"- **Cite**: {passport.citation}", ""])


def results_table(folder):
    """Return the table of all results under `folder`, as Markdown.

    Each row is one corpus, protocol and recipe: the mean over its seeds, their standard deviation, and the mean of the
    95 % intervals over speakers.
    """
    rows = []
    for file in sorted(Path(folder).glob("*/*/*/seed-*.json")):
        row = json.loads(file.read_text(encoding="utf-8"))
        if row["epochs"] != settings.RECIPES[row["recipe"]].training.epochs or row["synthetic"]:
            raise ValueError(f"{file} is of {row['epochs']} epochs or of synthetic speech, not the recipe's own run")
        if not row.get("problems"):  # of a copy that is not what was published, a result is not one of the corpus
            rows.append(row)
    lines = [
        "| corpus | protocol | recipe | accuracy | UAR | 95 % interval over speakers | chance (UAR) | runs |",
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
