"""The finals: the best trials of a search once more, under conditions that flatter nobody, and the choice among them.

repeats.py      what is trained again: the finalists with new seeds, the plain recipe to its end
entrants.py     who may win: a recipe with all its trainings
judging.py      their scores on validation, the choice, then their scores on the test rows
predictions.py  what each said of each row, kept for whoever wants to check a number
outcome.py      what the report says of it all
closing.py      the steps of the end, from the choice to the report
reproducing.py  the winner trained once more from its record
"""

from autoft.finals.closing import Closing, judging_threads
from autoft.finals.repeats import FOLDER, OTHERS, Repeats, known_records, needed, open_ledger, plain_recipe

__all__ = [
    "FOLDER",
    "OTHERS",
    "Closing",
    "Repeats",
    "judging_threads",
    "known_records",
    "needed",
    "open_ledger",
    "plain_recipe",
]
