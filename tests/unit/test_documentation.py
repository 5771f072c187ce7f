"""What ansible-doc shows of every plugin: a slip in its YAML would show nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = {
    kind: sorted(path.stem for path in (ROOT / "plugins" / folder).glob("*.py"))
    for kind, folder in (("module", "modules"), ("filter", "filter"))
}


@pytest.mark.parametrize("kind", NAMES)
def test_every_plugin_is_shown(kind: str, tmp_path: Path) -> None:
    names = [f"ousamg.anno.{name}" for name in NAMES[kind]]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    command = [sys.executable, "-m", "ansible", "doc", "-t", kind, "--json", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "[WARNING]" not in done.stderr and "[ERROR]" not in done.stderr, done.stderr
    shown: dict[str, Any] = json.loads(done.stdout)
    assert sorted(shown) == names
    for name, page in shown.items():
        assert page["doc"]["short_description"] and page["examples"] and page["return"], name
        if kind == "module":
            attributes = page["doc"]["attributes"]
            assert {"check_mode", "diff_mode", "idempotent"} <= attributes.keys(), name
            assert all(attribute["support"] in ("full", "partial", "N/A") for attribute in attributes.values()), name
