"""The user's data: read, checked, split, fingerprinted, and kept for a resumed search.

splits       the records: Splits, its fingerprint, what is asked of a task
reading      one file to a table
sets         folders saved by `datasets`, and data sets of the hub, to tables
sources      what the spec names to tables: files, assets, and those
values       a table's values to texts and labels of one type
checking     what is wrong with the rows
splitting    the limit and the split
loading      all of it in order
storing      the splits on disk
examination  what may make the result of a search mislead
"""

from autoft.data.loading import glance, load, read_texts
from autoft.data.reading import decoded_input
from autoft.data.splits import Splits
from autoft.data.storing import read, read_part, write

__all__ = ["Splits", "decoded_input", "glance", "load", "read", "read_part", "read_texts", "write"]
