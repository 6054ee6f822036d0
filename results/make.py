"""Make corpora's results, and the pages' tables from the passports and all results that are stored.

Every fold is kept as soon as it is done, and every result as soon as it is whole; a further run makes only what is
missing. Without a corpus, only the tables of the README, the book, datasets/README.md and
results/README.md are made.

usage: SERLIB_PROFILE=full python results/make.py emodb ravdess emodb+tess ... [--recipes NAME ...] [--protocols ...]
       python results/make.py

Names joined by + are several corpora together. The protocol ``across`` trains on each of these corpora and tests on
each of the others; ``unheard`` trains on all the others together.
"""

import argparse
import itertools
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from serlib import compare, corpora, evaluate, features, figures, index, metrics, recipes, results, settings, split
from serlib.readme_figures import ACROSS

HERE = Path(__file__).parent
PROJECT = HERE.parent
PAGES = [
    PROJECT / name
    for name in ("README.md", "docs/results.md", "docs/guide/corpora.md", "datasets/README.md", "results/README.md")
]
PROTOCOLS = ("random", "speakers", "loso")
NORMALISED = ("speakers-normalised", "loso-normalised")
RECIPES = ("paper", "original-2021")
BASELINES = ("paper", "egemaps+svm")
OVERVIEW = ("whisper+logistic", "compare+svm", "egemaps+svm", "mfcc-functionals+svm", "log-mel+attention-cnn", *RECIPES)
N_SEEDS = 5  # of `RECIPES`; of others one
N_SEEDS_OF_LARGE = {("crema-d", "random"): 3, ("crema-d", "speakers"): 3, ("crema-d", "loso"): 0}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", help="corpora whose results are made")
    parser.add_argument("--recipes", nargs="+", metavar="NAME", help=f"by default {' '.join(RECIPES)}")
    parser.add_argument("--protocols", nargs="+", choices=(*PROTOCOLS, "across", "unheard"), default=PROTOCOLS)
    parser.add_argument("--normalise", choices=("speaker", "corpus"), help="standardise each one's vectors by its own")
    options = parser.parse_args()
    ids = ["+".join(sorted(corpora.get(part).id for part in name.split("+"))) for name in options.corpora]
    names = options.recipes or RECIPES
    wanted = [(*job, options.normalise) for job in jobs_of(ids, names, options.protocols)]
    for corpus in sorted({part for name in ids for part in name.split("+")}):
        table = index.load(corpus, progress=True)  # here, with all processors, so that the jobs find everything made
        for name in names:
            features.extract(table, features=recipe_called(name).features, progress=True)
    jobs = features.parallel(n_jobs=-1, return_as="generator_unordered")
    for line in jobs(map(joblib.delayed(make_one), wanted)):
        print(line, flush=True)
    for page in PAGES:
        page.write_text(with_tables(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(page)


def recipe_called(name):
    """Return a recipe; ``-balanced`` at the end of its name is understood."""
    return recipes.get(name.removesuffix("-balanced"), balanced=name.endswith("-balanced"))


def jobs_of(ids, names, protocols):
    """List the results that are published: (corpora trained on, protocol, recipe, seed, corpus to test on)."""
    jobs = []
    for protocol in protocols:
        if protocol == "across":
            alone = [corpus for corpus in ids if "+" not in corpus]
            pairs = [(train, test) for train in ids for test in alone if test not in train.split("+")]
            jobs += [(train, "cross-corpus", name, settings.SEED, test) for train, test in pairs for name in names]
        elif protocol == "unheard":
            others = {test: "+".join(sorted(set(ids) - {test})) for test in ids}
            jobs += [(others[test], "cross-corpus", name, settings.SEED, test) for test in ids for name in names]
        else:
            jobs += [
                (corpus, protocol, name, settings.SEED + number, None)
                for corpus in ids
                for name in names
                for number in range(N_SEEDS_OF_LARGE.get((corpus, protocol), N_SEEDS) if name in RECIPES else 1)
            ]
    return jobs


def make_one(job):
    """Make one result, unless it is there, and say what came of it."""
    corpus, protocol, recipe, seed, test_on, normalise = job
    how = {"protocol": protocol, "recipe": recipe_called(recipe), "seed": seed, "test_on": test_on}
    result = evaluate.load_or_run(corpus.split("+"), **how, normalise=normalise)
    called = f"{corpus}{f' -> {test_on}' if test_on else ''} {split.protocol_name(protocol, normalise)}"
    return f"{called} {recipe} seed {seed}: UAR {metrics.uar(result.predictions):.3f}"


def with_tables(text):
    """Return a page's text with what is generated made anew: between the comments that name it."""
    made = {"corpora": corpus_table, "passports": passports, "coverage": coverage_table}
    made |= {"results": lambda: results_table(HERE), "across": lambda: across_table(HERE)}
    made |= {"overview": lambda: overview_table(HERE), "unheard": lambda: unheard_table(HERE)}
    made |= {"paired": lambda: paired_table(HERE)}
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
    for test in passport.listeners:
        rate = f"{test['accuracy']:.1%} right"
        lines.append(f"- **Listeners** ({test['condition']}): {rate}; {test['source']}")
    lines += [f"- {note}" for note in passport.notes]
    return "\n".join([*lines, f"- **Cite**: {passport.citation}", ""])


def published(folder):
    """Return all results under `folder` that are published: the recipes' own runs, on whole corpora."""
    found = results.stored(folder)
    for row in found.to_dict("records"):
        recipe, epochs = recipe_called(row["recipe"]), None if pd.isna(row["epochs"]) else int(row["epochs"])
        is_own = row["settings"] == recipe.settings() and epochs == recipe.model.get_params().get("epochs")
        if row["synthetic"] or not is_own:
            what = f"of {epochs} epochs, of other settings or of synthetic speech, not the recipe's own run"
            raise ValueError(f"{row['file']} is {what}; delete it")
    return found[[not problems for problems in found["problems"]]] if len(found) else found


def results_table(folder):
    """Return the table of all results under `folder` within one corpus, as Markdown.

    Each row is one corpus, protocol and recipe: the mean over its seeds, their standard deviation, and the mean of the
    95 % intervals over speakers. A corpus without results has a row that says how to fill it.
    """
    lines = [
        "| corpus | protocol | recipe | accuracy | UAR | 95 % interval over speakers | chance | listeners | runs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    found = published(folder)
    found = found[found["protocol"].isin((*PROTOCOLS, *NORMALISED))]
    names = list(dict.fromkeys((*RECIPES, *found["recipe"])))
    for corpus in _ordered(found["corpus"], corpora.NAMES):
        name, mine = figures.title_of(corpus), found[found["corpus"] == corpus]
        if mine.empty:
            how = f"not made yet: `make results CORPUS={corpus}` fills this row, once its audio is at hand"
            lines.append(f"| {name} | {how} | | | | | | {listeners(corpus)} | 0 |")
        for protocol, recipe in itertools.product((*PROTOCOLS, *NORMALISED), names):
            runs = mine[(mine["protocol"] == protocol) & (mine["recipe"] == recipe)]
            if not runs.empty:
                lines.append(f"| {name} | {protocol} | {recipe} | {_cells(runs)} | {listeners(corpus)} | {len(runs)} |")
    return "\n".join(lines) + "\n"


def overview_table(folder):
    """Return the table of recipes by corpora on unseen speakers (protocol ``speakers``), as Markdown.

    UAR, the mean over the seeds, and in brackets the mean of the 95 % intervals over speakers; below the recipes, what
    listeners reach, chance, and the first recipe once more with each speaker's vectors standardised; at the end of a
    row what the recipe costs, as ``benchmarks/costs.py`` measured it.
    """
    found = published(folder)
    costs = pd.read_csv(HERE / "costs.csv", index_col="recipe")
    plain = found[found["protocol"] == "speakers"]
    names = [corpus for corpus in corpora.NAMES if (plain["corpus"] == corpus).any()]
    lines = [
        f"| recipe | {' | '.join(map(figures.title_of, names))} | extract EMODB | train a fold |",
        f"|---{'|---' * len(names)}|---|---|",
    ]
    for recipe in OVERVIEW:
        runs = plain[plain["recipe"] == recipe]
        if len(runs):
            cost = [f"{seconds:,.1f} s" for seconds in costs.loc[recipe]] if recipe in costs.index else ["", ""]
            lines.append(f"| {' | '.join((f'`{recipe}`', *_uars(runs, names), *cost))} |")
    lines.append(f"| *listeners* | {' | '.join(map(listeners, names))} | | |")
    chances = (f"{plain.loc[plain['corpus'] == corpus, 'chance'].iloc[0]:.2f}" for corpus in names)
    lines.append(f"| *chance* | {' | '.join(chances)} | | |")
    runs = found[(found["protocol"] == "speakers-normalised") & (found["recipe"] == OVERVIEW[0])]
    if len(runs):
        lines.append(f"| `{OVERVIEW[0]}`, *standardised by speaker* | {' | '.join(_uars(runs, names))} | | |")
    return "\n".join(lines) + "\n"


def _uars(runs, names):
    """Return a cell for each corpus: the mean UAR of runs, and the mean of their intervals."""
    cells = []
    for mine in (runs[runs["corpus"] == corpus] for corpus in names):
        intervals = [limits for limits in mine["uar_ci95"] if isinstance(limits, list)]
        interval = "–".join(f"{limit:.2f}" for limit in np.mean(intervals, axis=0)) if intervals else ""
        cells.append(f"{mine['uar'].mean():.2f}{f' ({interval})' if interval else ''}" if len(mine) else "not made")
    return cells


def paired_table(folder):
    """Return how much each recipe differs from each of `BASELINES` on the same unseen speakers, as Markdown.

    `compare.paired_test` on the first seed; p is corrected for all tests of a corpus (`compare.holm`). Where so few
    speakers could show nothing, no p is given.
    """
    found = published(folder)
    found = found[(found["protocol"] == "speakers") & (found["seed"] == settings.SEED)]
    columns = {}
    for corpus in _ordered(found["corpus"]):
        files = found[found["corpus"] == corpus].set_index("recipe")["file"]
        tables = {name: results.read(file).predictions for name, file in files.items() if name in OVERVIEW}
        pairs = [
            (name, base)
            for number, base in enumerate(BASELINES, 1)
            for name in OVERVIEW
            if name not in BASELINES[:number] and {name, base} <= set(tables)
        ]
        if not pairs:
            continue
        tests = pd.DataFrame([compare.paired_test(tables[base], tables[name]) for name, base in pairs], index=pairs)
        tests["p"] = compare.holm(tests["p"])
        tests["can_show"] = tests["smallest_p"] * len(tests) < 0.05
        columns[corpus] = {pair: _difference(test) for pair, test in zip(pairs, tests.itertuples(), strict=True)}
    lines = [f"| recipe | beside | {' | '.join(map(figures.title_of, columns))} |", f"|---|---{'|---' * len(columns)}|"]
    for base, name in itertools.product(BASELINES, OVERVIEW):
        cells = [column.get((name, base), "") for column in columns.values()]
        if any(cells):
            lines.append(f"| `{name}` | `{base}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _difference(test):
    p = "p < 0.005" if test.p < 0.005 else f"p = {test.p:.2f}"
    return f"{test.difference:+.2f}" + (f" ({p})" if test.can_show else "")


def _ordered(names, first=()):
    """Return names, each once: those of `first`, then published corpora, then others."""
    known = {name: number for number, name in enumerate(corpora.NAMES)}
    return list(dict.fromkeys((*first, *sorted(names, key=lambda name: (known.get(name, len(known)), name)))))


def _cells(runs):
    spread = (f" ± {runs[m].std(ddof=1):.3f}" if len(runs) > 1 else "" for m in ("accuracy", "uar"))
    accuracy, uar = (f"{runs[m].mean():.3f}{sd}" for m, sd in zip(("accuracy", "uar"), spread, strict=True))
    intervals = [limits for limits in runs["uar_ci95"] if isinstance(limits, list)]
    interval = " to ".join(f"{limit:.3f}" for limit in np.mean(intervals, axis=0)) if intervals else "< 6 speakers"
    return f"{accuracy} | {uar} | {interval} | {runs['chance'].iloc[0]:.3f}"


def listeners(corpus):
    """Say what share of a corpus listeners recognise: accuracy, and UAR where it is known; or a dash."""
    tests = corpora.get(corpus).listeners if corpus in corpora.NAMES else ()
    if not tests:
        return "–"
    names = {"accuracy": "acc.", "uar": "UAR"}
    return ", ".join(f"{tests[0][measure]:.3f} {name}" for measure, name in names.items() if measure in tests[0])


def coverage_table():
    """Return what ``benchmarks/intervals.py`` counted, as Markdown: coverage and mean width, by number of speakers."""
    counted = pd.read_csv(HERE / "coverage.csv")
    kinds = counted[["method", "true_uar"]].drop_duplicates().itertuples(index=False)
    columns = {f"{method}, UAR {uar:.2f}": (method, uar) for method, uar in kinds}
    lines = [f"| speakers | {' | '.join(columns)} |", f"|---{'|---' * len(columns)}|"]
    for n_speakers, rows in counted.groupby("n_speakers"):
        rows = rows.set_index(["method", "true_uar"])
        cells = [
            f"{rows.loc[key, 'coverage']:.3f} (width {rows.loc[key, 'mean_width']:.3f})" for key in columns.values()
        ]
        lines.append(f"| {n_speakers} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _crossed(folder):
    """Return the published results of one corpus after training on others, with the number of these."""
    found = published(folder)
    found = found[found["protocol"].str.startswith("cross-corpus")]
    return found.assign(n_trained_on=[len(name.split("+")) for name in found.get("trained_on", [])])


def across_table(folder):
    """Return the matrix of UARs from corpus to corpus, as Markdown: of the recipes in `ACROSS`, and chance."""
    found = _crossed(folder)
    found = found[(found["protocol"] == "cross-corpus") & (found["n_trained_on"] == 1)]
    if found.empty:
        return 'Not made yet: `make results CORPUS="emodb ravdess" PROTOCOLS=across` makes it of corpora at hand.\n'
    names = _ordered({*found["corpus"], *found["trained_on"]})
    titles = [figures.title_of(corpus) for corpus in names]
    lines = [f"| trained on \\ tested on | {' | '.join(titles)} |", f"|---{'|---' * len(names)}|"]
    for train in names:
        cells = []
        for test in names:
            runs = found[(found["trained_on"] == train) & (found["corpus"] == test)].set_index("recipe")
            uars = " / ".join(f"{runs['uar'][name]:.2f}" for name in ACROSS if name in runs.index)
            missing = "" if train == test else "not made yet"
            cells.append(f"{uars} ({runs['chance'].iloc[0]:.2f})" if uars else missing)
        lines.append(f"| {figures.title_of(train)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def unheard_table(folder):
    """Return the UARs on corpora never heard, trained on all others together, as Markdown."""
    found = _crossed(folder)
    found = found[(found["n_trained_on"] > 1) & (found["n_trained_on"] == found["n_trained_on"].max())]
    names = _ordered(found["corpus"])
    lines = [
        f"| recipe | standardised by | {' | '.join(map(figures.title_of, names))} | mean |",
        f"|---|---{'|---' * len(names)}|---|",
    ]
    for recipe, normalise in itertools.product(ACROSS[::-1], split.NORMALISED):
        protocol = split.protocol_name("cross-corpus", normalise)
        runs = found[(found["recipe"] == recipe) & (found["protocol"] == protocol)]
        if len(runs):
            mean = f"{runs['uar'].mean():.2f}" if len(runs) == len(names) else ""
            lines.append(f"| `{recipe}` | {normalise or 'nothing'} | {' | '.join(_uars(runs, names))} | {mean} |")
    chances = (f"{found.loc[found['corpus'] == corpus, 'chance'].iloc[0]:.2f}" for corpus in names)
    lines.append(f"| *chance* | | {' | '.join(chances)} | |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
