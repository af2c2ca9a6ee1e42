"""autoft finds the best fine-tuned transformer for your data by itself.

import autoft
result = autoft.search(task="text-classification", data="reviews.csv", text="review", label="sentiment")
result.predict(["what a film"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from autoft.errors import AutoftError, InputError, Interrupted, SearchError

if TYPE_CHECKING:
    from autoft.api import Result, check, export_onnx, load, make_spec, reproduce, resume, search

__version__ = "0.1.0"
__all__ = [
    "AutoftError",
    "InputError",
    "Interrupted",
    "Result",
    "SearchError",
    "check",
    "export_onnx",
    "load",
    "make_spec",
    "reproduce",
    "resume",
    "search",
]


def __getattr__(name: str) -> Any:
    # Imported when first used, so that `import autoft` and `autoft --help` stay quick.
    if name in __all__:
        return getattr(import_module("autoft.api"), name)
    raise AttributeError(f"module 'autoft' has no attribute {name!r}")
