import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import serlib

PACKAGE = Path(serlib.__file__).parent
ONLY_PLACE = {  # what a library may be imported by, and no other module
    "tensorflow": {"model"},
    "keras": {"model"},
    "onnxruntime": {"predict"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "typer": {"cli"},
    "seaborn": {"figures"},
    "soundfile": {"audio"},
    "soxr": {"audio"},
    "audformat": {"interchange"},
    "pooch": {"download"},
    "requests": {"download"},
}


def source(name):
    file = PACKAGE / f"{name}.py"
    return ast.parse((file if file.is_file() else PACKAGE / name / "__init__.py").read_text(encoding="utf-8"))


def imports(name):
    """Yield (serlib's module or None, library or None) of every import in a module, wherever it stands."""
    for node in ast.walk(source(name)):
        if isinstance(node, ast.ImportFrom) and node.level:
            for module in [node.module] if node.module else [alias.name for alias in node.names]:
                yield module.split(".")[0], None
        elif isinstance(node, ast.ImportFrom):
            yield None, node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield None, alias.name.split(".")[0]


def test_the_listed_modules_are_the_modules():
    present = {file.stem for file in PACKAGE.glob("*.py")} | {
        folder.parent.name for folder in PACKAGE.glob("*/__init__.py")
    }
    assert present - {"__init__", "__main__"} == set(serlib.MODULES)


@pytest.mark.parametrize("name", serlib.MODULES)
def test_a_module_imports_only_those_above_it(name):
    above = serlib.MODULES[: serlib.MODULES.index(name)]
    for module, _ in imports(name):
        assert module is None or module in above or module == "__version__", f"{name} imports {module}"


@pytest.mark.parametrize("name", serlib.MODULES)
def test_a_library_is_imported_only_in_its_place(name):
    for _, library in imports(name):
        assert name in ONLY_PLACE.get(library, {name}), f"{name} imports {library}"


@pytest.mark.parametrize("name", serlib.MODULES)
def test_only_settings_reads_the_environment(name):
    text = ast.unparse(source(name))
    assert name == "settings" or not re.search(r"os\.(environ|getenv)", text)


def loaded(code):
    """Run code in a fresh interpreter and return the modules it loaded."""
    code += "; import sys; print(*sys.modules)"
    environment = {**os.environ, "SERLIB_PROFILE": "tiny"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return set(done.stdout.split())


def test_importing_serlib_loads_nothing_heavy():
    assert not loaded("import serlib") & {"numpy", "pandas", "librosa", "tensorflow", "keras", "matplotlib", "sklearn"}


def test_importing_modules_never_loads_tensorflow():
    names = ", ".join(f"serlib.{name}" for name in serlib.MODULES)
    assert not loaded(f"import {names}") & {"tensorflow", "keras", "numba"}


def test_modules_load_when_they_are_first_named():
    assert "serlib.labels" in loaded("import serlib; serlib.labels")
    with pytest.raises(AttributeError, match="no attribute 'utils'; its modules are labels"):
        serlib.utils  # noqa: B018
    assert set(serlib.MODULES) <= set(dir(serlib))
