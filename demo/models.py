"""Trains the six versions of the demo's model and lays them out as MLServer reads them.

`python -m demo.models <root>` writes `<root>/sentiment/<version>/{model.joblib, model-settings.json, …}`.
Reads nothing from the network; the same versions come out every time, but for the length of version 3's dictionary,
which is as long as makes it slow on the machine that trains it.
"""

import argparse
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from demo.dictionary import dictionary
from demo.reviews import Review, reviews

MODEL = "sentiment"
SERVED = Path(__file__).parent / "served"
CORPUS_SEED = 7
HELD_OUT = tuple(reviews(2000, seed=8))
"""Reviews that no version learns from: what its accuracy is measured on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the model. `cleaning` names the file in `served/` that its texts go through first."""

    number: str
    idea: str
    corpus: int
    longest_phrase: int = 1
    cleaning: str | None = None
    truncated: bool = False
    """Only the first half of the model's file arrives, as when an upload breaks off."""


VERSIONS: Mapping[str, Version] = MappingProxyType(
    {
        version.number: version
        for version in (
            Version(number="1", idea="learnt from 200 reviews, word by word", corpus=200),
            Version(number="2", idea="learnt from 3 000 reviews, pairs of words too", corpus=3000, longest_phrase=2),
            Version(
                number="3",
                idea="corrects the spelling first, in plain Python",
                corpus=3000,
                longest_phrase=2,
                cleaning="spelling",
            ),
            Version(
                number="4",
                idea="lower-cases by a table of bytes, for speed",
                corpus=3000,
                longest_phrase=2,
                cleaning="byte_table",
            ),
            Version(
                number="5",
                idea="its file broke off half-way through the upload",
                corpus=6000,
                longest_phrase=3,
                truncated=True,
            ),
            Version(number="6", idea="learnt from 6 000 reviews, phrases of three", corpus=6000, longest_phrase=3),
        )
    },
)


def train(version: Version) -> Pipeline:
    learnt_from = reviews(version.corpus, seed=CORPUS_SEED)
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, version.longest_phrase), sublinear_tf=True),
        LogisticRegression(C=10, max_iter=1000),
    )
    return model.fit(_texts(learnt_from), _verdicts(learnt_from))


def accuracy(model: Pipeline) -> float:
    return float(model.score(_texts(HELD_OUT), _verdicts(HELD_OUT)))


def save(version: Version, model: Pipeline, folder: Path) -> None:
    """Write the folder anew; `model-settings.json` last, because with it MLServer takes the folder for a model."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file = folder / "model.joblib"
    joblib.dump(model, file)
    if version.truncated:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    implementation = "mlserver_sklearn.SKLearnModel"
    if version.cleaning is not None:
        implementation = "cleaned_runtime.CleanedSentiment"
        shutil.copyfile(SERVED / "cleaned_runtime.py", folder / "cleaned_runtime.py")
        shutil.copyfile(SERVED / f"{version.cleaning}.py", folder / "cleaning.py")
    if version.cleaning == "spelling":
        (folder / "words.txt").write_text("\n".join(dictionary(_texts(reviews(1000, seed=CORPUS_SEED)))))
    settings = {
        "name": MODEL,
        "implementation": implementation,
        "parameters": {"uri": "./model.joblib", "version": version.number},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings, indent=2) + "\n")


def _texts(of: list[Review] | tuple[Review, ...]) -> list[str]:
    return [review.text for review in of]


def _verdicts(of: list[Review] | tuple[Review, ...]) -> list[str]:
    return ["positive" if review.positive else "negative" for review in of]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder that is mounted as the volume `models`")
    root = parser.parse_args().root
    for version in VERSIONS.values():
        model = train(version)
        save(version, model, root / MODEL / version.number)
        right = f"{100 * accuracy(model):.1f} % right on {len(HELD_OUT)} unseen reviews"
        print(f"v{version.number}  {right}  {version.idea}", flush=True)


if __name__ == "__main__":
    main()
