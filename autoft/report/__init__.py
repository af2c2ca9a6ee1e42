"""The answer of a search: statistics on the test rows, `report.json`, and for a person a text, a page and pictures.

The report knows the records of a search, never its engine.

resampling   intervals of a score and of a difference; `drawing` and `interval` do the drawing
comparing    the winner against another entrant, with a verdict in words
selection    which entrant wins on validation, and how far its value flatters
calibration  temperature and reliability of a classifier
classes      a classifier by its classes, and its surest mistakes
sections     what the report says to a person, in blocks that `markdown` and `page` set
pictures     what its figures show, drawn for a browser and as PNG
"""

from autoft.report.baselines import compare
from autoft.report.calibration import calibrate
from autoft.report.classes import by_class
from autoft.report.comparing import comparison_with
from autoft.report.interval import bootstrap_interval, paired_interval
from autoft.report.markdown import render
from autoft.report.page import write_html
from autoft.report.pictures import write_pictures
from autoft.report.resampling import Resampling
from autoft.report.selection import Choice, Entrant, choose, optimism
from autoft.report.summary import build, write

__all__ = [
    "Choice",
    "Entrant",
    "Resampling",
    "bootstrap_interval",
    "build",
    "by_class",
    "calibrate",
    "choose",
    "compare",
    "comparison_with",
    "optimism",
    "paired_interval",
    "render",
    "write",
    "write_html",
    "write_pictures",
]
