import base64
import gzip
import importlib.metadata
import io
import json
import os
import re
import subprocess
import tomllib
import zipfile
from collections import Counter
from pathlib import Path
from unittest import mock

import flit_core.wheel
import msgspec
import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from serlib import bundle, corpora, recipes

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
EXTRAS = {name: wanted for name, wanted in PROJECT["optional-dependencies"].items() if name != "dev"}


def name(requirement):
    return re.match(r"[A-Za-z0-9_-]+", requirement)[0].lower().replace("_", "-")


def test_conda_users_get_the_same_dependencies():
    (pip,) = [entry["pip"] for entry in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][2:]]
    assert pip == [*PROJECT["dependencies"], "-e .[lab,book]"]


def test_the_packages_of_the_design_are_dependencies_and_used():
    design = {"jupyterlab", "nbclient", "librosa", "soundfile", "numpy", "pandas", "tensorflow", "scikit-learn"}
    design |= {"matplotlib", "seaborn", "ipywidgets"}
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["lab"]]
    assert design <= {name(requirement) for requirement in wanted}


def test_every_dependency_is_pinned_with_hashes_and_no_index_is_named():
    text = (ROOT / "constraints.txt").read_text()
    pinned = {name(match) for match in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)}
    assert {name(requirement) for requirement in WANTED} <= pinned
    assert "://" not in text
    for block in re.split(r"\n(?=[a-z])", text.strip()):
        assert "--hash=sha256:" in block, block


def licences():
    """Return {package: (version, licence)} as THIRD_PARTY.md lists them."""
    rows = re.findall(r"^\| (\S+) +\| (\S+) +\| (.*?) +\|$", (ROOT / "THIRD_PARTY.md").read_text(), re.MULTILINE)
    return {canonicalize_name(package): (version, licence) for package, version, licence in rows[1:]}


def test_the_licences_of_all_that_is_pinned_here_are_listed():
    pins = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    installed = {canonicalize_name(one.name): one.version for one in importlib.metadata.distributions()}
    versions = Counter(canonicalize_name(package) for package, _ in pins)
    pinned = {(canonicalize_name(package), version) for package, version in pins} & installed.items()
    listed = {package: version for package, (version, _) in licences().items()}
    assert len(pinned) > 100
    assert {name for name, _ in pinned} <= listed.keys()
    assert {one for one in pinned if versions[one[0]] == 1} <= listed.items()  # some have one for each Python


def test_no_licence_forbids_what_the_project_does():
    """Permissive ones, and weak copyleft of libraries that are imported as they are; else each is named with why."""
    permissive = r"MIT|BSD|Apache|ISC|PSF|Python Software"
    weak = r"MPL-2\.0|Mozilla|LGPL-2\.1-or-later"
    strange = {package for package, (_, how) in licences().items() if not re.search(f"{permissive}|{weak}", how)}
    assert strange == {
        "codespell",  # GPL-2.0-only: a program that `make lint` runs
        "namex",  # says nothing in its metadata; its source is under Apache-2.0
        "sphinx-codeautolink",  # likewise; its licence file is MIT's
    }


def test_the_tests_have_every_extra_but_for_one_of_a_strict_licence_and_one_of_gigabytes():
    by_hand = {"opensmile", "transformers"}
    assert by_hand <= set(EXTRAS)
    assert {wanted for name in set(EXTRAS) - by_hand for wanted in EXTRAS[name]} <= set(WANTED)


def test_every_dependency_is_imported_or_run():
    """What nothing uses is no dependency."""
    run = {"tf2onnx"}  # called by Keras's export
    called = {"scikit-learn": "sklearn"}
    files = [*(ROOT / "serlib").rglob("*.py"), *(ROOT / "notebooks").glob("*"), *(ROOT / "tests").glob("*.py")]
    text = "\n".join(file.read_text() for file in files if file.suffix in (".py", ".ipynb"))
    for requirement in PROJECT["dependencies"]:
        module = called.get(name(requirement), name(requirement))
        assert name(requirement) in run or re.search(rf"\b(import|from) {module}\b", text), requirement


def test_the_version_is_stated_once():
    import serlib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == serlib.__version__
    assert "version" in PROJECT["dynamic"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """What pip installs: the names of a wheel's files, with their sizes."""
    file = flit_core.wheel.make_wheel_in(ROOT / "pyproject.toml", tmp_path_factory.mktemp("wheel")).file
    with zipfile.ZipFile(file) as packed:
        return {entry.filename: entry.file_size for entry in packed.infolist()}


def test_the_wheel_holds_what_is_no_python(wheel):
    data = [path for path in (ROOT / "serlib").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert {path.relative_to(ROOT).as_posix() for path in data} <= set(wheel)
    assert {"serlib/widgets/static/recorder.js", "serlib/bundles/emodb-paper/model.onnx"} <= set(wheel)


def test_git_does_not_hide_the_bundle_that_ships():
    command = ["git", "check-ignore", *map(str, (ROOT / "serlib" / "bundles").rglob("*"))]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == ""


def a_path_of_a_computer(file):
    """Return what in a file, unpacked, tells of a folder of whoever made it, or None."""
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return re.search(rb"(?<![\w.])/(home|root|work|tmp|Users)/|[A-Z]:\\Users|" + re.escape(os.fsencode(ROOT)), content)


def test_what_is_passed_on_tells_no_folder_of_whoever_made_it():
    listed = subprocess.run(["git", "ls-files", ":!tests"], cwd=ROOT, capture_output=True, text=True, check=True)
    files = [ROOT / name for name in listed.stdout.splitlines()]
    assert {".csv", ".gz", ".ipynb", ".json", ".md", ".png", ".onnx"} <= {file.suffix for file in files}
    assert [str(file) for file in files if a_path_of_a_computer(file)] == []


@pytest.mark.parametrize("name", list(bundle.shipped()))
def test_a_bundle_that_ships_is_small_and_holds_no_speech_and_no_path(wheel, name):
    mine = {name: size for name, size in wheel.items() if name.startswith("serlib/bundles/")}
    assert {Path(name).name for name in mine} == {
        *("LICENSES.md", "MODEL_CARD.md", "bundle.json", "history.csv", "model.keras", "model.onnx"),
    }
    assert sum(mine.values()) < 2_500_000
    assert not any(a_path_of_a_computer(ROOT / name) for name in mine)
    shipped = bundle.read(bundle.find(name))
    golden, made = (soundfile.read(io.BytesIO(wav), dtype="int16")[0].astype(int) for wav in goldens(shipped))
    assert np.abs(golden - made).max() <= 1  # synthetic, as another Fourier transform rounds it


def test_the_model_for_strangers_is_of_three_corpora_and_knows_its_scores_on_three_others():
    shipped, folder = bundle.read(bundle.find("strangers")), bundle.SHIPPED / "strangers"
    assert (shipped.corpora, shipped.synthetic) == (("crema-d", "emodb", "ravdess"), False)
    assert shipped.emotions == ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
    assert shipped.relabelled["mapping"] == {"calm": "neutral"}
    assert {one.corpus for one in shipped.never_heard} == {"emovo", "savee", "tess"}
    curve = (
        pd.read_csv(ROOT / "results" / "strangers.csv").query("sentences == 'any'").set_index(["corpus", "k"])["uar"]
    )
    for one in shipped.never_heard:
        assert one.uar == pytest.approx(curve[one.corpus, "0"], abs=1e-3)
        assert one.uar_calibrated == pytest.approx(
            curve[one.corpus, str(one.n_sentences)], abs=0.005
        )  # pooled, not their mean
    assert (folder / "MODEL_CARD.md").read_text(encoding="utf-8") == bundle.card(shipped)
    assert shipped.licence.startswith("CC BY-NC-SA 4.0")
    assert "CC BY-NC-SA 4.0" in (bundle.SHIPPED / "LICENSES.md").read_text(encoding="utf-8")
    assert "CC-BY-NC-SA-4.0" in PROJECT["license"]
    assert (folder / "model.onnx").stat().st_size < 1_000_000


def goldens(shipped):
    """Return the golden recording of a bundle, and what one is made of today, as WAV."""
    return base64.b64decode(shipped.golden.wav_base64), bundle.golden_wav()


def test_the_bundle_that_ships_is_of_all_of_real_emodb_and_knows_its_score():
    shipped, recipe = bundle.read(bundle.find("emodb-paper")), recipes.get("paper")
    passport = corpora.get("emodb")
    assert (shipped.corpora, shipped.synthetic, shipped.recipe) == (("emodb",), False, "paper")
    assert shipped.kind == recipe.features
    assert shipped.model == recipe.settings()["model"]
    assert shipped.epochs == recipe.model.epochs == 500
    assert shipped.split.n_train + shipped.split.n_validation + shipped.split.n_test == passport.n_utterances
    assert set(shipped.speakers) == {f"emodb/{speaker}" for speaker in passport.speakers}
    stored = json.loads((ROOT / "results" / "emodb" / "paper" / "speakers" / "seed-42.json").read_text())
    assert json.loads(json.dumps(msgspec.to_builtins(shipped.speaker_independent))).items() <= stored.items()
    assert shipped.task == stored["task"]
    card = (bundle.SHIPPED / "emodb-paper" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card == bundle.card(shipped)
    assert passport.citation in card
    assert passport.licence in card


@pytest.mark.parametrize("version", [(3, 9), (3, 10), (3, 14)])
def test_another_python_is_refused_in_a_line_before_anything_is_installed(version):
    (check,) = re.findall(r"@\$\(PYTHON\) -c '(import sys; [^']*)' \|\|", (ROOT / "Makefile").read_text())
    for tried, code in ((version, True), ((3, 11), False), ((3, 13), False)):
        with pytest.raises(SystemExit) as ended, mock.patch("sys.version_info", tried):
            exec(check, {})
        assert ended.value.code is code


def test_binder_gets_a_python_that_the_project_takes():
    wanted = yaml.safe_load((ROOT / "binder" / "environment.yml").read_text())["dependencies"]
    (version,) = [one.removeprefix("python=") for one in wanted if one.startswith("python")]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.0")
    assert all(os.access(ROOT / "binder" / name, os.X_OK) for name in ("postBuild", "start"))
