from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import packages

VERSIONS: dict[str, packages.Version] = {"clinvar": "20240107", "hgmd": "2023.4", "seqrepo": "2021-01-29", "vep": 110}


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory; the tests only read it."""
    folder = tmp_path_factory.mktemp("sandbox") / "data"
    packages.data_folder(folder, VERSIONS)
    return folder
