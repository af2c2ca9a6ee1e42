"""What has to be known of the rows before they are searched on: leaks, contradictions, small classes, drift.

findings     the records: Finding, Examination
texts        what makes two texts the same, and the words of a text
duplicates   texts that stand in two splits, or twice in training
labels       contradictory labels, and classes that are too small
drift        splits that were drawn from something else than training
examining    all of it in order
"""

from autoft.data.examination.examining import examine
from autoft.data.examination.findings import Examination, Finding, Severity

__all__ = ["Examination", "Finding", "Severity", "examine"]
