"""A fresh sandbox for each test, and what deploys into it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import support_hosts
from sandbox import __main__ as sandbox
from sandbox import service, sites
from support_deploy import Deploy, Site


@pytest.fixture(scope="session")
def _sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("sandbox") / "root"
    sandbox.make(root)
    yield root
    sandbox.remove(root)


@pytest.fixture
def site(_sandbox: Path, tmp_path: Path) -> Site:
    """Both sites as they were made, and both programs up. Only supervisord lives longer than a test."""
    for folder in ("tsd/ess", "nsc"):
        shutil.rmtree(_sandbox / folder, ignore_errors=True)
    sites.make(_sandbox)
    service.start(_sandbox)
    for name, state in service.status(_sandbox).items():
        if state != "RUNNING":
            service.rpc(_sandbox).startProcess(name)
    home = tmp_path / "home"
    home.mkdir()
    return Site(_sandbox, home)


@pytest.fixture
def deploy(site: Site) -> Deploy:
    return Deploy(site)


@pytest.fixture(scope="session")
def hosts() -> support_hosts.Hosts:
    return support_hosts.hosts()
