"""Runs a module of the collection in this process, as Ansible would run it in one of its own."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from support_data import Site, copy_site, make_site


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A small instance, to be copied."""
    return make_site(tmp_path_factory.mktemp("original"))


@pytest.fixture
def site(original: Site, tmp_path: Path) -> Site:
    return copy_site(original, tmp_path / "site")


class ModuleResult(dict[str, Any]):
    """What the module printed. ``result.failed`` tells ``fail_json`` from ``exit_json``; ``result.warned`` are its
    warnings."""

    warned: list[str]

    @property
    def failed(self) -> bool:
        return bool(self.get("failed", False))


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleResult]:
    """``run_module("sif_info", {"path": …}, check=True, diff=True)`` returns the module's result."""

    def run(name: str, args: dict[str, Any], *, check: bool = False, diff: bool = False) -> ModuleResult:
        module = importlib.import_module(f"ansible_collections.ousamg.anno.plugins.modules.{name}")
        capsys.readouterr()
        warned: list[str] = []
        monkeypatch.setattr(AnsibleModule, "warn", lambda _, text: warned.append(text))
        internal = {"_ansible_check_mode": check, "_ansible_diff": diff}
        with patch_module_args(args | internal), pytest.raises(SystemExit):
            module.main()
        result = ModuleResult(json.loads(capsys.readouterr().out))
        result.warned = warned
        return result

    return run
