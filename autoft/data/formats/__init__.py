"""Files beside tables that some tasks read; each reader makes of them the columns of a table.

A task names those that it reads in `formats`, by the end of a file's name. The columns are called by their roles
(`text`, `text_pair`, `label`), so that a spec has nothing to say about them.
"""

from autoft.data.reading import Formats, Reader

__all__ = ["Formats", "Reader"]
