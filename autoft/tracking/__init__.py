"""MLflow as a window on the ledger: one parent run per search, one child per trial, the winner registered.

The ledger stays the truth. `Mirror` projects it into MLflow from a thread of its own, so a search never
waits for MLflow, and whatever MLflow missed is made up for later, without a duplicate or a hole.

    target.py       where MLflow is, and how to name it without its password
    projection.py   a trial's record as MLflow's params, points and tags (pure)
    verdict.py      the outcome of a search in sentences (pure)
    tables.py       its entrants and its leaderboard (pure)
    description.py  the Markdown on the page of a search, made of both (pure)
    datasets.py     the data of a search as MLflow's data set
    runs.py         finding, creating and filling runs; every step can be repeated
    mirror.py       the thread, and `flush` and `finish` for its end
    replaced.py     what is left of searches that this one has replaced, put away
    finals.py       which entrant each training of the final round was for
    publish.py      the winner's model and scores, the files
    registry.py     a version for each winner, and which of them is the champion
    champions.py    the champions of a store
    serve.py        MLflow's own pages on this machine, and their addresses
"""

from autoft.tracking.champions import Champion, champions
from autoft.tracking.mirror import Mirror
from autoft.tracking.publish import Published
from autoft.tracking.serve import free_port, model_url, run_url, serve, wait_until_up
from autoft.tracking.target import Target, default_uri, resolve_uri
from autoft.words import public_uri

__all__ = [
    "Champion",
    "Mirror",
    "Published",
    "Target",
    "champions",
    "default_uri",
    "free_port",
    "model_url",
    "public_uri",
    "resolve_uri",
    "run_url",
    "serve",
    "wait_until_up",
]
