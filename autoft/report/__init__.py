"""The answer of a search: statistics on the test rows, `report.json`, and for a person a text, a page and pictures.

The report knows the records of a search, never its engine.
"""

from autoft.report.baselines import compare
from autoft.report.interval import bootstrap_interval, paired_interval
from autoft.report.markdown import render
from autoft.report.page import write_html
from autoft.report.pictures import write_pictures
from autoft.report.summary import build, write

__all__ = [
    "bootstrap_interval",
    "build",
    "compare",
    "paired_interval",
    "render",
    "write",
    "write_html",
    "write_pictures",
]
