"""The order of modules, the places of libraries, the sizes of files, and what an import loads."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import serlib

PACKAGE = Path(serlib.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
OF_MODULES = [file for file in FILES if file.split("/")[0].removesuffix(".py") in serlib.MODULES]
ONLY_PLACE = {  # the modules that may import a library
    "tensorflow": {"models"},
    "keras": {"models"},
    "tf2onnx": {"bundle"},
    "skl2onnx": {"bundle"},
    "onnx": {"predict", "features"},
    "onnxruntime": {"predict", "features"},
    "opensmile": {"features"},
    "transformers": {"features"},
    "torch": {"features"},
    "sqlite3": {"cache"},
    "soundfile": {"audio"},
    "soxr": {"audio"},
    "tomllib": {"corpora"},
    "regex": {"corpora"},
    "joblib": {"features", "evaluate"},
    "typer": {"cli"},
    "rich": {"cli"},
    "matplotlib": {"figures", "readme_figures", "widgets"},
    "seaborn": {"figures"},
    "ipywidgets": {"widgets"},
    "anywidget": {"widgets"},
    "audformat": {"interchange"},
    "pooch": {"download"},
    "requests": {"download"},
}


def module_of(file):
    """Return the module that a file belongs to: a package counts as one."""
    return file.split("/")[0].removesuffix(".py")


def source(file):
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def imports(file):
    """Yield (serlib's module or None, library or None) of every import in a file, also of those within functions."""
    depth = file.count("/") + 1  # how many dots lead out of the file's package, to serlib
    for node in ast.walk(source(file)):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            for module in [node.module] if node.module else [alias.name for alias in node.names]:
                yield module.split(".")[0], None
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield None, node.module.split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            assert node.level < depth, f"{file}, line {node.lineno}: leads out of serlib"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield None, alias.name.split(".")[0]


def test_the_listed_modules_are_the_modules():
    present = {file.stem for file in PACKAGE.glob("*.py")} | {
        folder.parent.name for folder in PACKAGE.glob("*/__init__.py")
    }
    assert present - {"__init__", "__main__"} == set(serlib.MODULES)


@pytest.mark.parametrize("file", OF_MODULES)
def test_a_module_imports_only_those_above_it(file):
    above = serlib.MODULES[: serlib.MODULES.index(module_of(file))]
    for module, library in imports(file):
        assert library != "serlib", f"{file} imports serlib by its name; write the import with dots"
        assert module is None or module in above or module == "__version__", f"{file} imports {module}"


def test_the_core_imports_no_satellite():
    for file in FILES:
        if module_of(file) in serlib.CORE:
            satellites = {module for module, _ in imports(file)}.intersection(serlib.SATELLITES)
            assert not satellites, f"{file} imports {satellites}"


@pytest.mark.parametrize("file", OF_MODULES)
def test_a_library_is_imported_only_in_its_place(file):
    for _, library in imports(file):
        assert module_of(file) in ONLY_PLACE.get(library, {module_of(file)}), f"{file} imports {library}"


@pytest.mark.parametrize("file", FILES)
def test_only_settings_reads_the_environment(file):
    text = ast.unparse(source(file))
    assert file == "settings.py" or not re.search(r"\bos\.(environ|getenv|putenv)", text)
    assert not re.search(r"from os import .*(environ|env\b)", text)


@pytest.mark.parametrize("file", FILES)
def test_no_file_is_longer_than_500_lines(file):
    n_lines = len((PACKAGE / file).read_text(encoding="utf-8").splitlines())
    assert n_lines <= 500, f"{file} has {n_lines} lines"


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


def test_every_function_of_the_core_that_users_call_is_shown_by_an_example():
    without = set()
    for module in serlib.CORE:
        loaded = getattr(serlib, module)
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            text = inspect.getdoc(function) or ""
            if function.__module__.startswith(f"serlib.{module}") and "\nParameters\n" in text and ">>>" not in text:
                without.add(f"{module}.{name}")
    assert without == {"weights.find", "weights.read"}  # these would need 145 MB of weights
