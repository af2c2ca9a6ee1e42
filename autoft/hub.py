"""The model hub: asked once, for seconds, and without its client's lines on the screen."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Literal

TIMEOUT = 5.0
"""Seconds that the hub may take to say whether it has something."""

Answer = Literal["there", "missing", "gated", "unreachable"]

# Each try that fails is a line of theirs; what comes of it is one of ours.
_LOUD = ("huggingface_hub", "datasets", "httpx", "httpx2", "urllib3")


def look(dataset: str) -> Answer:
    """Whether the hub has a data set; its client would look for it for half a minute where nobody answers."""
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError

    try:
        with quiet():
            HfApi(endpoint=constants.ENDPOINT).dataset_info(dataset, timeout=TIMEOUT)
    except HFValidationError:
        return "missing"
    except GatedRepoError:
        return "gated"
    except HfHubHTTPError as error:  # 401 is its answer to a stranger who asks for what is private or not there
        return "missing" if error.response is not None and error.response.status_code in (401, 404) else "unreachable"
    except Exception:  # what its HTTP client raises has no root that two versions of it share
        return "unreachable"
    return "there"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the hub's client and `datasets` off the screen: no lines, no progress bars."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logging.ERROR, logger.level))
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
