"""MLflow as a window on the ledger: one parent run per search, one child per trial, the winner registered.

The ledger stays the truth. `Mirror` projects it into MLflow from a thread of its own, so a search never
waits for MLflow, and whatever MLflow missed is made up for later, without a duplicate or a hole.

    target.py       where MLflow is, and how to name it without its password
    projection.py   a trial's record as MLflow's params, points and tags (pure)
    description.py  the Markdown on the page of a search (pure)
    runs.py         finding, creating and filling runs; every step can be repeated
    mirror.py       the thread, and `flush` and `finish` for its end
    replaced.py     what is left of searches that this one has replaced, put away
    publish.py      the winner's model: logged, registered, `champion`
    serve.py        MLflow's own pages on this machine, and their addresses
"""

from autoft.tracking.mirror import Mirror
from autoft.tracking.publish import Published
from autoft.tracking.serve import free_port, model_url, run_url, serve, wait_until_up
from autoft.tracking.target import Target, default_uri, resolve_uri
from autoft.words import public_uri

__all__ = [
    "Mirror",
    "Published",
    "Target",
    "default_uri",
    "free_port",
    "model_url",
    "public_uri",
    "resolve_uri",
    "run_url",
    "serve",
    "wait_until_up",
]
