"""Tasks on their way to other processes.

A task of a package that is installed everywhere travels by its name. One from a file of the user's own, a notebook or
a script, travels with its code: a worker runs in another folder, perhaps on another machine, and could not import it.
"""

from __future__ import annotations

import sys
from typing import Any

_own: set[str] = set()  # names of modules whose code travels


def own(task: Any) -> None:
    """Notes that the code of a task's class travels with it; it came from no installed package."""
    name = type(task).__module__
    if name != "__main__" and not name.startswith("autoft."):
        _own.add(name)


def dumps(task: Any) -> bytes:
    """The task as bytes that `pickle.loads` reads in any process with the same libraries."""
    import cloudpickle

    modules = [sys.modules[name] for name in _own if name in sys.modules]
    registered = set(cloudpickle.list_registry_pickle_by_value())
    ours = [module for module in modules if module.__name__ not in registered]
    try:
        for module in ours:
            cloudpickle.register_pickle_by_value(module)
        carried: bytes = cloudpickle.dumps(task)
    finally:
        for module in ours:
            cloudpickle.unregister_pickle_by_value(module)
    return carried
