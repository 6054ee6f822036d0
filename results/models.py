"""Make a bundle of each corpus under SERLIB_DATA: trained on its training part, with its score on unseen speakers.

The bundle that comes with the package is written to its place there, the others into the profile's folder of models.
The score is that of the stored result, if there is one; else it is made now, and stored.

usage: SERLIB_PROFILE=full python results/models.py [RECIPE]     (by default paper)
"""

import sys

from serlib import bundle, evaluate, index, recipes, settings

SHIPPED = ("emodb-paper",)


def main(name="paper"):
    """Make the bundles, and print what became of each corpus."""
    recipe, tables = recipes.get(name), index.at_hand()[0]
    if not tables:
        sys.exit(f"no corpus is at hand under {settings.current().data}; expected one, see datasets/README.md")
    for corpus, table in tables.items():
        place = f"{corpus}-{recipe.name}"
        folder = bundle.SHIPPED / place if place in SHIPPED else None
        _, _, folder = bundle.train(table, recipe=recipe, folder=folder)
        result = evaluate.load_or_run(corpus, protocol="speakers", recipe=recipe, n_jobs=-1)
        unseen = bundle.write_score(folder, result).speaker_independent
        print(f"{folder}: UAR {unseen.uar:.3f} on unseen speakers", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
