import os

import pytest

from serlib import settings


def test_tiny_reads_and_writes_below_build_only(workplace, monkeypatch):
    monkeypatch.setenv("SERLIB_DATA", "elsewhere")
    here = settings.current()
    folders = (here.data, here.csv, here.models, here.figures, here.results, here.cache)
    assert all(folder.is_relative_to(workplace / "build" / "tiny") for folder in folders)


def test_full_takes_its_folders_from_the_environment(workplace, monkeypatch):
    monkeypatch.setenv("SERLIB_PROFILE", "full")
    monkeypatch.setenv("SERLIB_DATA", "/corpora")
    monkeypatch.setenv("HOME", "/")
    monkeypatch.setenv("SERLIB_CACHE", "~/cache")  # as a file of settings has it, which no shell reads
    here = settings.current()
    assert (str(here.data), str(here.cache)) == ("/corpora", "/cache")
    assert here.csv == workplace / "datasets" / "csv"


def test_an_unknown_profile_is_refused(monkeypatch):
    monkeypatch.setenv("SERLIB_PROFILE", "huge")
    with pytest.raises(ValueError, match="SERLIB_PROFILE is 'huge'; expected 'tiny'"):
        settings.current()


def test_settings_say_themselves_without_naming_places_outside_the_project(workplace, monkeypatch):
    monkeypatch.setenv("SERLIB_PROFILE", "full")
    monkeypatch.setenv("SERLIB_DATA", "/somebody/at/home/corpora")
    monkeypatch.setenv("SERLIB_CACHE", "/somebody/at/home/cache")
    text = str(settings.current())
    assert "data     …/corpora" in text
    assert "csv      datasets/csv" in text
    assert "somebody" not in text
    assert str(workplace) not in text


def test_threads_are_bounded_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    settings.bound_threads()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    settings.bound_threads()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "4"
