"""The model hub: asked once, for seconds, and without its client's lines on the screen."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator
from typing import Literal

TIMEOUT = 5.0
"""Seconds that the hub may take to say whether it has something."""

Answer = Literal["there", "missing", "gated", "unreachable"]

# Each try that fails is a line of theirs; what comes of it is one of ours.
_LOUD = ("huggingface_hub", "datasets", "httpx", "httpx2", "urllib3")


# Hubs that did not answer, with the time of that: nobody should wait for the same silence once for each model.
_silent: dict[str, float] = {}
_PATIENCE = 60.0  # seconds until such a hub is asked again


def look(ref: str, kind: Literal["model", "dataset"]) -> Answer:
    """Whether the hub has a repository; its client would look for it for half a minute where nobody answers.

    A gated one may be said to be there: its page can be seen, and only its files are kept back.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if time.monotonic() - _silent.get(constants.ENDPOINT, -_PATIENCE) < _PATIENCE:
        return "unreachable"
    try:
        with quiet():
            HfApi(endpoint=constants.ENDPOINT).repo_info(ref, repo_type=kind, timeout=TIMEOUT)
    except HFValidationError:
        return "missing"
    except GatedRepoError:
        return "gated"
    except HfHubHTTPError as error:  # 401 is its answer to a stranger who asks for what is private or not there
        return "missing" if error.response is not None and error.response.status_code in (401, 404) else "unreachable"
    except OfflineModeIsEnabled:
        return "unreachable"
    except Exception:  # what its HTTP client raises has no root that two versions of it share
        _silent[constants.ENDPOINT] = time.monotonic()
        return "unreachable"
    return "there"


def full_name(ref: str, kind: Literal["model", "dataset"]) -> str:
    """What the hub calls a repository now, its owner included; `ref` itself where the hub doesn't say."""
    from huggingface_hub import HfApi, constants

    try:
        with quiet():
            return str(HfApi(endpoint=constants.ENDPOINT).repo_info(ref, repo_type=kind, timeout=TIMEOUT).id)
    except Exception:  # as in `look`
        return ref


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Keeps `datasets` to what it has, as HF_HUB_OFFLINE does: else it asks a hub that is silent again and again."""
    import datasets
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps the hub's client and `datasets` off the screen: what they log, and what they warn of."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(max(logging.ERROR, logger.level))
    try:
        with warnings.catch_warnings():
            for name in _LOUD:  # a disk without symbolic links, say
                warnings.filterwarnings("ignore", module=rf"{name}\b")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
