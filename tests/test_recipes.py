import json

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from serlib import features, models, recipes

PAIRS = [
    f"{kind}+{classifier}"
    for kind in features.NAMED
    for classifier in models.NAMES
    if (len(features.get(kind).shape) == 2) == (classifier == "attention-cnn")
]


@pytest.mark.parametrize("name", [*recipes.RECIPES, *PAIRS])
def test_each_recipe_is_made_by_its_name_and_identified_by_its_settings(name):
    recipe = recipes.get(name)
    assert recipe.name == name
    assert json.loads(json.dumps(recipe.settings())) == recipe.settings()
    assert "random_state" not in json.dumps(recipe.settings())
    assert len({recipes.get(other).fingerprint() for other in [*recipes.RECIPES, *PAIRS]}) >= len(PAIRS)


def test_paper_is_mfcc_mean_and_cnn_under_a_name():
    paper, pair = recipes.get("paper"), recipes.get("mfcc-mean+cnn")
    assert paper.features == pair.features == features.MfccMean()
    assert paper.settings() == pair.settings()
    assert (
        paper.fingerprint() != recipes.get("original-2021").fingerprint() != recipes.get("paper-levelled").fingerprint()
    )
    assert (recipes.get("original-2021").validation, paper.validation) == ("test", "train")


def test_recipes_that_differ_in_anything_have_other_settings():
    def own(penalty):
        class Own(KNeighborsClassifier):
            def fit(self, X, y):
                return super().fit(X + penalty, y)

        return Own()

    class Other(KNeighborsClassifier):
        pass

    models = [
        *(KNeighborsClassifier(np.int64(k)) for k in (3, 9)),
        *(LogisticRegression(class_weight={"anger": weight}) for weight in (1, 9)),
        *(GaussianNB(priors=np.array(priors)) for priors in ([0.5, 0.5], [0.1, 0.9])),
        *(KNeighborsClassifier(weights=function) for function in (np.exp, np.square)),
        own(1),
        Other(),
    ]
    made = [recipes.Recipe("mine", features.MfccMean(), model) for model in models]
    assert len({recipe.fingerprint() for recipe in made}) == len(models)
    assert all(json.loads(json.dumps(recipe.settings())) == recipe.settings() for recipe in made)


@pytest.mark.parametrize("name", ["paper", *PAIRS])
def test_every_recipe_can_be_balanced(name):
    balanced = recipes.get(name, balanced=True)
    assert balanced.name == f"{name}-balanced"
    assert "balanced" in json.dumps(balanced.settings()["model"])
    assert "balanced" not in json.dumps(recipes.get(name).settings())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("papre", r"recipe 'papre' is unknown; use one of paper, .* or features\+classifier \(whisper, "),
        ("mfcc+svm", "features 'mfcc' are unknown; use one of whisper"),
        ("mfcc-mean+svn", "classifier 'svn' is unknown; use one of logistic"),
        ("log-mel+svm", r"features log-mel have shape \(300, 64\), and Svm takes vectors; see 'python -m serlib"),
        ("mfcc-mean+attention-cnn", r"features mfcc-mean have shape \(50,\), and AttentionCnn takes sequences"),
    ],
)
def test_a_recipe_that_is_none_is_refused_in_one_line(name, message):
    with pytest.raises(ValueError, match=message):
        recipes.get(name)


def test_a_recipe_is_made_of_features_and_a_classifier():
    with pytest.raises(TypeError, match="features are 'mfcc-mean'; expected a kind of serlib.features"):
        recipes.Recipe("x", "mfcc-mean", LogisticRegression())
    with pytest.raises(TypeError, match="BaseEstimator has no fit; expected a classifier as scikit-learn's"):
        recipes.Recipe("x", features.MfccMean(), BaseEstimator())
    with pytest.raises(ValueError, match="validation is 'all'; expected 'train' or 'test'"):
        recipes.Recipe("x", features.MfccMean(), LogisticRegression(), validation="all")
