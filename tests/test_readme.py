import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import sklearn.metrics
from typer.testing import CliRunner

import containers
from conftest import put_at_hand, worked
from serlib import cli, corpora, results, synthetic

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDE = ROOT / "docs" / "guide"
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def blocks(language, *pages):
    """Return the code in a language that stands in pages, by default in all."""
    texts = [page.read_text(encoding="utf-8") for page in pages or PAGES]
    return [code for text in texts for code in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)]


def test_the_make_targets_exist():
    pages = [*PAGES, *(ROOT / f"{name}.md" for name in ("CONTRIBUTING", "SECURITY", "PROMISES"))]
    code = [re.findall(r"`(make [^`]*)`|^(make .*)", page.read_text(encoding="utf-8"), re.MULTILINE) for page in pages]
    lines = ["".join(pair) for found in code for pair in found]
    targets = {re.match(r"make ([\w-]+)", line)[1] for line in lines}
    assert {"tutorial", "test", "lab", "lint", "pip-audit"} <= targets
    assert targets <= set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))


def test_each_promise_names_tests_that_exist():
    rows = re.findall(r"^\| (.+) \| (`.+`) \|$", (ROOT / "PROMISES.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 20
    for promise, tests in rows:
        for test in tests.split(", "):
            module, name = re.fullmatch(r"`(test_\w+)::(test_\w+)`", test).groups()
            text = (ROOT / "tests" / f"{module}.py").read_text(encoding="utf-8")
            assert re.search(rf"^def {name}\(", text, re.MULTILINE), f"{promise}: {test}"


def test_ci_runs_make_test():
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("\nmake test")


def test_the_commands_without_make_are_those_of_the_makefile():
    (commands,) = blocks("bat")
    for line in commands.splitlines()[1:]:
        options = line.split(" install ")[1]
        assert f"install --quiet {options}" in MAKEFILE


def test_the_terminal_commands_exist_with_their_options():
    commands = re.findall(r"^python -m serlib (\w+) ([^#\n]*)", "\n".join(blocks("sh")), re.MULTILINE)
    named = {"download", "doctor", "index", "recipes", "train", "evaluate", "predict", "audit", "features", "export"}
    assert {name for name, _ in commands} == named
    registered = {
        command.name or command.callback.__name__.removesuffix("_command") for command in cli.app.registered_commands
    }
    assert {name for name, _ in commands} <= registered
    for name, words in commands:
        text = CliRunner().invoke(cli.app, [name, "--help"]).stdout
        for option in re.findall(r"(?<!\S)--?[a-z_]+", words):
            assert re.search(rf"(?<!\S){option}\b", text), f"{name} {option}"


def test_the_five_lines_and_the_recipe_of_your_own_run(made, workplace):
    put_at_hand(made, workplace)
    five, own = blocks("python", GUIDE / "recipes.md")
    code = f"{five}{own}print(metrics.summary(result.predictions))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    first, second = map(ast.literal_eval, done.stdout.splitlines())
    assert [first["recipe"], second["recipe"]] == ["mfcc-functionals+svm", "my-recipe"]
    for summary in (first, second):
        assert summary["protocol"] == "speakers"
        assert summary["uar"] > 2 * summary["chance"]
    assert done.stderr == ""


def test_the_lines_that_hear_a_talk_run(workplace, capsys):
    talk = np.tile(synthetic.speech("anger", "anyone", gender="male", sr=containers.SR), 8)
    (workplace / "talk.m4a").write_bytes(containers.encoded(talk, "m4a"))
    (code,) = blocks("python", GUIDE / "predict.md")
    exec(code, {})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines][:3] == ["0.0", "1.0", "2.0"]


@pytest.mark.slow
def test_the_lines_for_a_cluster_run(made, workplace, cluster):
    put_at_hand(made, workplace)
    (code,) = blocks("python", GUIDE / "machines.md")
    code = code.replace("scheduler:8786", cluster.scheduler.address)
    code += "\nprint(len(result.predictions), len(table))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    n_tested, n_utterances = done.stdout.split()
    assert n_tested == n_utterances
    assert worked(cluster) == 2


def test_the_two_commands_of_the_readme_stand_first():
    assert [re.match(r"make \w+", line)[0] for line in blocks("sh", ROOT / "README.md")[0].splitlines()] == [
        *("make tutorial", "make app")
    ]


def test_every_image_and_link_is_there_and_images_have_words():
    links = [
        (page, *link)
        for page in PAGES
        for link in re.findall(r"(!?)\[([^\]]*)\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
    ]
    shown = {Path(target).name for _, is_image, _, target in links if is_image}
    assert shown == {file.name for file in (ROOT / "figures").glob("*.png")}
    for page, is_image, words, target in links:
        assert words
        assert "://" in target or (page.parent / target).is_file(), target
        if is_image:
            assert (page.parent / target).with_suffix(".json").is_file()


@pytest.fixture
def make():
    """The module results/make.py."""
    spec = importlib.util.spec_from_file_location("make_results", ROOT / "results" / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_results_of_half_a_corpus_or_of_other_settings_are_not_published(make, tmp_path):
    stored = json.loads((ROOT / "results" / "emodb" / "paper" / "loso" / "seed-42.json").read_text(encoding="utf-8"))
    file = tmp_path / "emodb" / "paper" / "loso" / "seed-42.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(stored))
    assert "| EMODB | loso | paper |" in make.results_table(tmp_path)
    file.write_text(json.dumps(stored | {"problems": ["emodb: 3 missing"]}))
    assert "| EMODB | loso |" not in make.results_table(tmp_path)
    other = stored["settings"] | {"validation": "test"}
    for wrong in ({"epochs": 3}, {"synthetic": True}, {"settings": other}):
        file.write_text(json.dumps(stored | wrong))
        with pytest.raises(
            ValueError, match=r"seed-42.csv.gz is of \d+ epochs, of other settings or of synthetic speech"
        ):
            make.results_table(tmp_path)


def test_results_of_any_recipe_and_of_corpora_together_have_rows(make, tmp_path):
    stored = json.loads((ROOT / "results" / "emodb" / "paper" / "loso" / "seed-42.json").read_text(encoding="utf-8"))
    for corpus, recipe, epochs in (
        ("emodb", "mfcc-functionals+svm", None),
        ("emodb+tess", "mfcc-mean+cnn-balanced", 500),
    ):
        file = tmp_path / corpus / recipe / "loso" / "seed-42.json"
        file.parent.mkdir(parents=True)
        here = {"corpus": corpus, "recipe": recipe, "epochs": epochs, "settings": make.recipe_called(recipe).settings()}
        file.write_text(json.dumps(stored | here))
    rows = [row.split(" | ") for row in make.results_table(tmp_path).splitlines()]
    listeners = {(row[0], row[2]): row[-2] for row in rows if row[1:2] == ["loso"]}
    assert listeners == {
        ("| EMODB", "mfcc-functionals+svm"): "0.935 acc., 0.930 UAR",
        ("| EMODB + TESS", "mfcc-mean+cnn-balanced"): "–",
    }


def test_a_corpus_without_results_has_a_row_that_says_how_to_fill_it(make, tmp_path):
    rows = make.results_table(tmp_path).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == [f"| {corpora.short_title(name)}" for name in corpora.NAMES]
    assert "`make results CORPUS=emovo` fills this row" in rows[0]
    assert make.across_table(tmp_path).startswith("Not made yet: `make results CORPUS=")
    assert "0.935 acc., 0.930 UAR" in rows[1]  # what listeners reach does not depend on results


def test_the_matrix_between_corpora_has_both_recipes_in_a_field(make, tmp_path):
    stored = json.loads((ROOT / "results" / "emodb" / "paper" / "loso" / "seed-42.json").read_text(encoding="utf-8"))
    for recipe, uar in (("paper", 0.31), ("whisper+logistic", 0.42)):
        file = tmp_path / "tess" / recipe / "cross-corpus-emodb" / "seed-42.json"
        file.parent.mkdir(parents=True)
        here = {"protocol": "cross-corpus", "trained_on": "tess", "recipe": recipe, "uar": uar, "chance": 0.2}
        here |= {"settings": make.recipe_called(recipe).settings(), "epochs": 500 if recipe == "paper" else None}
        file.write_text(json.dumps(stored | here))
    assert make.across_table(tmp_path).splitlines() == [
        "| trained on \\ tested on | EMODB | TESS |",
        "|---|---|---|",
        "| EMODB |  | not made yet |",
        "| TESS | 0.31 / 0.42 (0.20) |  |",
    ]
    assert "| EMODB | loso |" not in make.results_table(tmp_path)  # it is no result within EMODB


def test_each_recipe_is_tested_against_the_baselines_on_the_same_speakers(make):
    rows = [row.split(" | ") for row in make.paired_table(ROOT / "results").splitlines()]
    columns = rows[0][2:]
    (row,) = [row for row in rows if row[:2] == ["| `whisper+logistic`", "`paper`"]]
    a, b = (
        results.read(ROOT / "results" / "ravdess" / name / "speakers" / "seed-42.csv.gz").predictions
        for name in ("paper", "whisper+logistic")
    )
    difference = sklearn.metrics.balanced_accuracy_score(b["y_true"], b["y_pred"])
    difference -= sklearn.metrics.balanced_accuracy_score(a["y_true"], a["y_pred"])
    assert row[2 + columns.index("RAVDESS")].startswith(f"{difference:+.2f} (p < 0.005)")
    assert "p" not in row[2 + columns.index("SAVEE")]  # four speakers can show nothing


TABLES = ("README.md", "docs/results.md", "docs/guide/corpora.md", "datasets/README.md", "results/README.md")


@pytest.mark.parametrize("page", TABLES)
def test_the_tables_are_generated_from_passports_and_results(page, make):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert ROOT / page in make.PAGES
    assert "<!-- end of" in text
    assert make.with_tables(text) == text


def test_every_notebook_is_in_the_table_and_the_other_way_round():
    page = (ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8")
    row = r"^\| \[(\d\d) ([^\]]+)\]\(../notebooks/([^)]+)\) \| (.+?) \| \d+ \| (\d+) \|$"
    rows = re.findall(row, page, re.MULTILINE)
    in_the_margin = re.findall(r"^(\d\d) (.+) <../notebooks/(.+)>$", page, re.MULTILINE)
    assert in_the_margin == [(number, title, file.removesuffix(".ipynb")) for number, title, file, *_ in rows]
    files = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert [name for _, _, name, _, _ in rows] == [file.name for file in files]
    for (number, title, name, question, minutes), file in zip(rows, files, strict=True):
        notebook = nbformat.read(file, as_version=4)
        first = notebook.cells[0].source
        assert name.startswith(number)
        assert first.startswith(f"# {title}\n")
        assert f"**Question**: {question}\n" in first
        stated = [
            int(m) for cell in notebook.cells for m in re.findall(r"^### .* \((\d+) minutes\)$", cell.source, re.M)
        ]
        assert sum(stated) == int(minutes)
    assert sum(int(minutes) for *_, minutes in rows) == 600


@pytest.mark.parametrize("page", [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", *TABLES[3:]))], ids=str)
def test_no_local_path_is_named(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"/(home|root|work|tmp|Users)/", text)


def test_what_contributing_shows_can_be_done(made, tmp_path):
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    diffs = re.findall(r"```diff\n(.*?)```", text, re.DOTALL)
    assert [("level" in diff, "trees" in diff, "_ages" in diff) for diff in diffs] == [
        *((True, False, False), (False, True, False), (False, False, True), (False, False, True))
    ]
    assert max(diff.count("\n") for diff in diffs) < 40
    shutil.copytree(ROOT / "serlib", tmp_path / "serlib", ignore=shutil.ignore_patterns("__pycache__"))
    put_at_hand(made, tmp_path)
    for diff in diffs:
        done = subprocess.run(["git", "apply", "-"], input=diff, text=True, cwd=tmp_path, stderr=subprocess.PIPE)
        assert done.stderr == "", "a line that a diff in CONTRIBUTING.md shows has changed; renew the diff"
    tests = [str(ROOT / "tests" / name) for name in ("test_models.py", "test_recipes.py", "test_features.py")]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-c",
        str(ROOT / "pyproject.toml"),
        "-p",
        "no:cacheprovider",
        *tests,
    ]
    names = "trees or test_each_kind_gives_finite_numbers_of_its_shape_and_survives_json"
    done = subprocess.run([*command, "-k", names], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    code = """
from serlib import evaluate, index, metrics, recipes, widgets
result = evaluate.load_or_run("emodb", protocol="speakers", recipe=recipes.get("level+trees"))
summary = metrics.summary(result.predictions)
print(summary["recipe"], summary["uar"] > 1.5 * summary["chance"])
figure = widgets.explore_ages({name: index.load(name) for name in ("emodb", "savee")})
figure.controls["corpus"].value = "savee"
print(figure.picture.alt)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["level+trees True", "A histogram of ages of savee's speakers."]
    passport = tmp_path / "VOICES" / "passport.toml"
    passport.parent.mkdir()
    passport.write_text(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1], encoding="utf-8")
    assert corpora.own(passport.parent).parse("s1_7_ang.wav").emotion == "anger"
