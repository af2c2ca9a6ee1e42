"""The search spec: from YAML (or keyword arguments) to a checked, frozen `SearchSpec`.

All problems are found at once, each with its path, what was found and what would be right:

    space.learning_rte: unknown key, did you mean learning_rate?
"""

from autoft.spec.model import DataSpec, Finals, Resources, SearchSection, SearchSpec, Tracking, is_name
from autoft.spec.reading import Draft, load, parse, parse_draft, read_value, read_yaml, write_yaml
from autoft.words import RUNS

__all__ = [
    "RUNS",
    "DataSpec",
    "Draft",
    "Finals",
    "Resources",
    "SearchSection",
    "SearchSpec",
    "Tracking",
    "is_name",
    "load",
    "parse",
    "parse_draft",
    "read_value",
    "read_yaml",
    "write_yaml",
]
