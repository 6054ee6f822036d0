"""The examples of docstrings run in one folder of their own, on synthetic speech."""

import pytest


@pytest.fixture(scope="session")
def examples_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(autouse=True)
def _in_the_examples_folder(request, monkeypatch, examples_folder):
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(examples_folder)
        monkeypatch.setenv("SERLIB_PROFILE", "tiny")
        for name in ("SERLIB_DATA", "SERLIB_CACHE"):
            monkeypatch.delenv(name, raising=False)
