"""Fixtures for all tests."""

from pathlib import Path

import pytest
from tiny import tiny_bert, tiny_data, tiny_folder, tiny_job, tiny_models

__all__ = ["tiny_bert", "tiny_data", "tiny_folder", "tiny_job", "tiny_models"]


@pytest.fixture(scope="session")
def mlflow_template(tmp_path_factory) -> Path:
    """An empty store: MLflow takes seconds to make one."""
    from tracking_store import Store

    from autoft import tracking

    folder = tmp_path_factory.mktemp("template")
    Store(tracking.default_uri(folder)).client.search_experiments()
    return folder / "mlflow.db"


@pytest.fixture
def store(tmp_path, mlflow_template):
    """A real store of MLflow's, of its own for each test."""
    from tracking_store import Store

    from autoft import tracking

    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mlflow.db").write_bytes(mlflow_template.read_bytes())
    return Store(tracking.default_uri(tmp_path / "runs"))
