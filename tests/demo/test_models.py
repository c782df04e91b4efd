"""The demo's models: the same every time, better with more reviews, and broken where the story needs it."""

import importlib.util
import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import joblib
import pytest

from demo.load import TEXTS
from demo.models import SERVED, VERSIONS, accuracy, save, train
from demo.reviews import BAD, GOOD, reviews

SMALL = replace(VERSIONS["2"], corpus=300)


def cleaning_in(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("cleaning", folder / "cleaning.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def saved(version: str, folder: Path) -> Path:
    save(replace(VERSIONS[version], corpus=300), train(SMALL), folder / version)
    return folder / version


def test_the_same_seed_writes_the_same_reviews() -> None:
    assert reviews(50, seed=3) == reviews(50, seed=3)
    assert reviews(50, seed=3) != reviews(50, seed=4)


def test_half_of_what_users_write_has_a_letter_that_is_not_ascii() -> None:
    accented = [not review.text.isascii() for review in reviews(TEXTS, seed=9)]
    assert 0.45 < sum(accented) / TEXTS < 0.55


@pytest.mark.parametrize("every", [2, 3, 5, 10])
def test_a_gateway_that_counts_sends_the_canary_both_kinds(every: int) -> None:
    accented = [not review.text.isascii() for review in reviews(TEXTS, seed=9)] * 2
    assert 0.3 < sum(accented[::every]) / len(accented[::every]) < 0.7


def test_both_verdicts_are_about_as_frequent() -> None:
    assert 400 < sum(review.positive for review in reviews(1000, seed=1)) < 600


def test_training_twice_gives_the_same_model() -> None:
    texts = [review.text for review in reviews(100, seed=2)]
    once, again = train(SMALL), train(SMALL)
    assert (once.predict_proba(texts) == again.predict_proba(texts)).all()


def test_more_reviews_and_longer_phrases_make_a_better_model() -> None:
    first, second, last = (accuracy(train(VERSIONS[number])) for number in "126")
    assert 0.65 < first < 0.8
    assert 0.9 < second < last


def test_a_saved_model_names_its_version_for_the_server(tmp_path: Path) -> None:
    folder = saved("2", tmp_path)
    settings = json.loads((folder / "model-settings.json").read_text())
    assert settings["parameters"]["version"] == "2"
    assert settings["implementation"] == "mlserver_sklearn.SKLearnModel"
    assert set(joblib.load(folder / "model.joblib").predict(["The lamp is great."])) <= {"positive", "negative"}


def test_saving_again_leaves_nothing_of_what_was_there(tmp_path: Path) -> None:
    folder = saved("3", tmp_path)
    save(VERSIONS["2"], train(SMALL), folder)
    assert {file.name for file in folder.iterdir()} == {"model.joblib", "model-settings.json"}


def test_version_5_cannot_be_loaded(tmp_path: Path) -> None:
    folder = saved("5", tmp_path)
    with pytest.raises((EOFError, pickle.UnpicklingError)):
        joblib.load(folder / "model.joblib")


def test_version_3_corrects_one_slip_of_the_finger(tmp_path: Path) -> None:
    cleaning = cleaning_in(saved("3", tmp_path))
    assert cleaning.clean("the lid is sturdi and rather leky") == "the lid is sturdy and rather leaky"
    assert cleaning.edits("handel", "handle") == 2
    assert cleaning.edits("", "lid") == 3


def test_version_3_knows_every_word_of_praise_and_blame(tmp_path: Path) -> None:
    assert set(cleaning_in(saved("3", tmp_path)).known_words()) > {*GOOD, *BAD}


def test_version_4_chokes_on_letters_that_are_not_ascii(tmp_path: Path) -> None:
    cleaning = cleaning_in(saved("4", tmp_path))
    assert cleaning.clean("A Great Lamp") == "a great lamp"
    with pytest.raises(UnicodeEncodeError):
        cleaning.clean("Bought in Malmö")


@pytest.mark.parametrize("number", [number for number, version in VERSIONS.items() if version.cleaning])
def test_what_a_version_cleans_with_is_shipped(number: str) -> None:
    assert (SERVED / f"{VERSIONS[number].cleaning}.py").is_file()
