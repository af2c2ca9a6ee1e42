"""The pictures of a search: described once, drawn for a browser and as PNG."""

from autoft.report.pictures.drawing import describe, write_pictures
from autoft.report.pictures.picture import Picture

__all__ = ["Picture", "describe", "write_pictures"]
