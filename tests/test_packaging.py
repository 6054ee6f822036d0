import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WANTED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
EXTRAS = {name: wanted for name, wanted in PROJECT["optional-dependencies"].items() if name != "dev"}


def name(requirement):
    return re.match(r"[A-Za-z0-9_-]+", requirement)[0].lower().replace("_", "-")


def test_conda_users_get_the_same_dependencies():
    (pip,) = [entry["pip"] for entry in yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"][2:]]
    assert pip == [*PROJECT["dependencies"], "-e ."]


def test_the_packages_of_the_design_are_dependencies_and_used():
    design = {"jupyterlab", "nbclient", "librosa", "soundfile", "numpy", "pandas", "tensorflow", "scikit-learn"}
    design |= {"matplotlib", "seaborn", "ipywidgets"}
    assert design <= {name(requirement) for requirement in PROJECT["dependencies"]}


def test_every_dependency_is_pinned_with_hashes_and_no_index_is_named():
    text = (ROOT / "constraints.txt").read_text()
    pinned = {name(match) for match in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)}
    assert {name(requirement) for requirement in WANTED} <= pinned
    assert "://" not in text
    for block in re.split(r"\n(?=[a-z])", text.strip()):
        assert "--hash=sha256:" in block, block


def test_the_tests_have_every_extra():
    assert {wanted for extra in EXTRAS.values() for wanted in extra} <= set(WANTED)


def test_every_dependency_is_imported_or_run():
    """What nothing uses is no dependency."""
    run = {
        "jupyterlab",
        "tf2onnx",
        "scikit-learn",
    }  # opened by `make lab`; called by Keras's export; imported as sklearn
    files = [*(ROOT / "serlib").rglob("*.py"), *(ROOT / "notebooks").glob("*"), *(ROOT / "tests").glob("*.py")]
    text = "\n".join(file.read_text() for file in files if file.suffix in (".py", ".ipynb"))
    for requirement in PROJECT["dependencies"]:
        module = name(requirement).replace("-", "_")
        assert name(requirement) in run or re.search(rf"\b(import|from) {module}\b", text), requirement


def test_the_version_is_stated_once():
    import serlib

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == serlib.__version__
    assert "version" in PROJECT["dynamic"]
