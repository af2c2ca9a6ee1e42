"""What MLflow's servers run: the saved model with its task, which answers as `autoft predict` does.

MLflow finds this module by its name, which stands in every model that was saved with it, and calls `_load_pyfunc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from autoft.training.predict import Predictor


class Served:
    """A model as MLflow's `pyfunc` flavour wants it."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The answer for each row.

        Args:
            model_input: A table with the columns that the model was trained on, or with as many of any name; or a list
                of texts, or of pairs of them.
            params: Nothing that is made use of.

        Raises:
            InputError: The rows are none that the model can answer.
        """
        return self._predictor.predict(self._rows(model_input))

    def _rows(self, given: Any) -> pd.DataFrame | list[Any]:
        import pandas as pd

        if isinstance(given, Mapping):
            given = pd.DataFrame(dict(given))
        if not isinstance(given, pd.DataFrame):
            return [tuple(item) if isinstance(item, list) else item for item in list(given)]
        names = [column.name for column in self._predictor.inputs]
        if all(name in given for name in names) or len(given.columns) != len(names):
            return given  # what is missing there is told by the predictor
        return given.set_axis(names, axis="columns")


def _load_pyfunc(path: str) -> Served:
    """MLflow's entry to this module.

    Raises:
        InputError: The model can't be opened here, for want of its task, say.
    """
    from autoft.training.predict import Predictor

    return Served(Predictor.load(Path(path)))
