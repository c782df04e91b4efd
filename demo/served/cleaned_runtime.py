"""Runs inside MLServer, from the model's own folder: a scikit-learn model whose texts are cleaned first.

`cleaning.py` beside it, different in each version, says how. MLServer finds both because it puts
the folder it serves on `sys.path`.
"""

from cleaning import clean  # type: ignore[import-not-found]  # lies in the model's folder, not here
from mlserver_sklearn import SKLearnModel  # type: ignore[import-not-found]  # in MLServer's image only
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer


class CleanedSentiment(SKLearnModel):  # type: ignore[misc]  # MLServer is not here to be checked
    async def load(self) -> bool:
        loaded: bool = await super().load()
        self._model: Pipeline = make_pipeline(FunctionTransformer(_clean_all), self._model)
        return loaded


def _clean_all(texts: list[str]) -> list[str]:
    return [clean(text) for text in texts]
