"""Make a bundle of each corpus under SERLIB_DATA: trained on its training part, and told its score on unseen speakers.

The bundle that comes with the package is written to its place there, the others into the profile's folder of models.
The score is that of the stored result, if there is one; else it is made now, and stored.

usage: SERLIB_PROFILE=full python results/models.py
"""

import sys

from serlib import evaluate, features, index, model, settings, split

SHIPPED = ("emodb",)


def main():
    """Make the bundles, and print what became of each corpus."""
    recipe, tables = settings.recipe("paper"), index.at_hand()[0]
    if not tables:
        sys.exit(f"no corpus is at hand under {settings.current().data}; expected one, see datasets/README.md")
    for corpus, table in tables.items():
        folder = (model.SHIPPED if corpus in SHIPPED else settings.current().models) / f"{corpus}-{recipe.name}"
        model.refuse_place(folder)
        parts = split.from_parts(table)
        X = features.extract(parts.table, features=recipe.features)
        how = {"recipe": recipe, "epochs": evaluate.epochs_for(table, recipe)}
        fold = evaluate.fit_fold(parts, X, **how)
        model.save(folder, fold.network, fold.history, evaluate.contract(fold, parts, X=X, recipe=recipe))
        result = evaluate.obtain(corpus, protocol="speakers", recipe=recipe, n_jobs=-1)
        honest = evaluate.tell(folder, result).honest
        print(f"{folder}: UAR {honest['uar']:.3f} on unseen speakers", flush=True)


if __name__ == "__main__":
    main()
