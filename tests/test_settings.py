import dataclasses
import errno
import json
import os

import pytest

from serlib import settings


def test_paper_is_what_the_original_readme_describes():
    recipe = settings.RECIPES["paper"]
    f, m, t = recipe.features, recipe.model, recipe.training
    assert (f.sr, f.n_mfcc, f.win_length, f.n_fft, f.hop_length, f.n_mels) == (22050, 50, 512, 512, 256, 128)
    assert (f.amin, f.top_db) == (1e-10, 80)
    assert (m.filters, m.kernel_size, m.pool_size, m.pool_padding, m.dense) == ((8, 16, 32), 5, 2, "same", 128)
    assert 0 < m.dropout < 1
    assert (t.epochs, t.batch_size, t.learning_rate, t.loss) == (500, 32, 1e-4, "categorical_crossentropy")
    assert t.shuffle
    assert t.validation == "train"


def test_original_2021_is_what_the_original_code_does():
    recipe = settings.RECIPES["original-2021"]
    assert (recipe.features.n_fft, recipe.features.hop_length) == (2048, 552)
    assert (recipe.model.dropout, recipe.model.pool_padding) == (0, "valid")
    t = recipe.training
    assert (t.loss, t.shuffle, t.validation) == ("binary_crossentropy", False, "test")


@pytest.mark.parametrize("name", settings.RECIPES)
def test_a_recipe_survives_json(name):
    recipe = settings.RECIPES[name]
    assert settings.Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_a_recipe_of_another_version_is_refused():
    fields = settings.RECIPES["paper"].to_dict()
    fields["features"]["n_filters"] = 3
    with pytest.raises(ValueError, match="not this version's .*n_filters.*train the model again"):
        settings.Recipe.from_dict(fields)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop_length": 0}, "hop_length is 0; expected a positive whole number"),
        ({"win_length": 1024}, "win_length 1024 exceeds n_fft 512"),
        ({"n_mfcc": 129}, "n_mfcc 129 exceeds n_mels 128"),
    ],
)
def test_impossible_features_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(settings.RECIPES["paper"].features, **change)


def test_recipes_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.RECIPES["paper"].features.n_mfcc = 13


def test_an_unknown_recipe_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="recipe 'papers' is unknown; use one of paper, original-2021"):
        settings.recipe("papers")


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


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("old")

    def fail():
        with settings.replacing(file) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert file.read_text() == "old"
    with file.open() as reader:  # who has the old file open goes on reading it
        with settings.replacing(file) as temporary:
            temporary.write_text("new")
        assert reader.read() == "old"
    assert file.read_text() == "new"
    assert list(tmp_path.iterdir()) == [file]


def test_what_belongs_together_is_replaced_whole_or_not_at_all(tmp_path):
    files = [tmp_path / "a.csv", tmp_path / "a.validated.csv"]
    for file in files:
        file.write_text("old")

    def fail():
        with settings.replacing_together(*files) as temporaries:
            temporaries[0].write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [file.read_text() for file in files] == ["old", "old"]
    with settings.replacing_together(*files) as temporaries:
        for temporary in temporaries:
            temporary.write_text("new")
        assert [file.read_text() for file in files] == ["old", "old"]
    assert [file.read_text() for file in files] == ["new", "new"]
    assert sorted(tmp_path.iterdir()) == files


def test_what_a_killed_process_left_is_taken_away_and_what_a_living_one_writes_is_not(tmp_path):
    file = tmp_path / "table.csv"
    for left in (".table.csv.begun-1.csv", ".table.csv.begun-2/table.csv"):
        (tmp_path / left).parent.mkdir(exist_ok=True)
        (tmp_path / left).write_text("half")
    (tmp_path / ".tables.csv.begun-1.csv").write_text("of another")
    with settings.replacing(file) as temporary:
        temporary.write_text("first")
        with settings.replacing(file) as another:
            another.write_text("second")
        assert file.read_text() == "second"
    assert file.read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".tables.csv.begun-1.csv", "table.csv"]


@pytest.mark.parametrize("what", ["ENOSPC", "EROFS", "EACCES"])
def test_a_place_that_cannot_be_written_to_is_named_and_what_is_there_stays(tmp_path, monkeypatch, what):
    file = tmp_path / "table.csv"
    file.write_text("old")
    refused = OSError(getattr(errno, what), os.strerror(getattr(errno, what)), ".table.csv.begun-1")

    def refuse(*_, **__):
        raise refused

    def write_full():
        with settings.replacing(file) as temporary:
            temporary.write_text("half")
            refuse()

    message = (
        rf"table.csv cannot be written \({refused.strerror}\); what was there before is still there. Make room, or"
    )
    with pytest.raises(type(refused), match=message):
        write_full()
    monkeypatch.setattr(settings.tempfile, "mkdtemp", refuse)
    with pytest.raises(type(refused), match=message), settings.replacing_together(file):
        pass
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


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
