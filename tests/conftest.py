"""Fixtures for all tests."""

from tiny import tiny_bert, tiny_data, tiny_folder, tiny_job, tiny_models

__all__ = ["tiny_bert", "tiny_data", "tiny_folder", "tiny_job", "tiny_models"]
