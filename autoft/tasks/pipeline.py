"""A saved model as a `transformers` pipeline, for whoever hands it on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import Pipeline


def load_pipeline(folder: Path, pipeline: str) -> Pipeline:
    """The model and the tokenizer in `folder` as the pipeline of that name, on the CPU.

    No code of the folder is run, only safetensors are read, and no model hub is asked.
    """
    import transformers

    # An absolute path, which no hub takes for the name of a model.
    path = str(folder.resolve())
    loaded: Pipeline = transformers.pipeline(
        pipeline,
        model=path,
        tokenizer=path,
        device="cpu",
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )
    return loaded


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Keep `transformers` from drawing bars on a screen that belongs to somebody else."""
    from transformers.utils import logging

    active = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if active:
            logging.enable_progress_bar()
