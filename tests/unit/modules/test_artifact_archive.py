"""The module artifact_archive: what check mode predicts is what the run does, and only the run writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    for folder in ("incoming", "archive"):
        (tmp_path / folder).mkdir()
    for file in ("x.tar", "x.sif"):
        path = tmp_path / "incoming" / file
        path.write_bytes(b"12345")
        path.chmod(0o644)
    return tmp_path


def args(site: Path, **more: Any) -> dict[str, Any]:
    search = [str(site / "incoming")]
    return {
        "artifacts": [
            {"file": "x.tar", "size": 5, "search": search},
            {"file": "x.sif", "size": 5, "search": search, "dest": str(site / "archive"), "sha256": None},
        ],
        "manifest": {"path": str(site / "archive/v1.0.0.yml"), "text": "version: v1.0.0\n"},
        **more,
    }


def snapshot(root: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a folder: mode, inode, times and content."""
    tree = {}
    for path in sorted([root, *root.rglob("*")]):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        tree[str(path)] = (status.st_mode, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, content)
    return tree


def test_check_mode_predicts_the_run(site: Path, run_module: Run) -> None:
    before = snapshot(site)
    predicted = run_module("artifact_archive", args(site), check=True, diff=True)
    assert snapshot(site) == before
    done = run_module("artifact_archive", args(site), diff=True)
    source, target = str(site / "incoming/x.sif"), str(site / "archive/x.sif")
    assert [artifact.pop("path") for artifact in predicted["artifacts"]] == [str(site / "incoming/x.tar"), source]
    assert [artifact.pop("path") for artifact in done["artifacts"]] == [str(site / "incoming/x.tar"), target]
    assert predicted == done
    assert done["changed"]
    assert done["planned"]
    assert done["artifacts"][0]["archived"] is False
    assert done["artifacts"][1] == {"file": "x.sif", "archived": True, "before": source, "after": target}
    assert done["diff"]["before"] == f"{source}\n{target}: mode 0644\n"
    assert done["diff"]["after"] == (
        f"{target}\n{target}: mode 0774\n{site}/archive/v1.0.0.yml:\nversion: v1.0.0\n"
    )
    assert (site / "archive/v1.0.0.yml").read_text() == "version: v1.0.0\n"


def test_a_second_run_changes_nothing(site: Path, run_module: Run) -> None:
    run_module("artifact_archive", args(site))
    before = snapshot(site)
    for check in (True, False):
        result = run_module("artifact_archive", args(site), check=check)
        assert not result["changed"]
        assert not result["planned"]
        assert result["diff"]["before"] == result["diff"]["after"] == ""
        assert [artifact["archived"] for artifact in result["artifacts"]] == [False, False]
        assert result["artifacts"][1]["path"] == str(site / "archive/x.sif")
    assert snapshot(site) == before


@pytest.mark.parametrize("check", [True, False])
def test_one_that_may_be_missing(site: Path, run_module: Run, check: bool) -> None:
    gone = {"file": "z.tar", "size": 5, "search": [str(site / "incoming")], "required": False}
    result = run_module("artifact_archive", {"artifacts": [gone]}, check=check)
    assert not result["changed"]
    path = str(site / "incoming/z.tar")
    assert result["artifacts"] == [{"file": "z.tar", "path": path, "archived": False, "before": None, "after": None}]


def test_no_artifacts_and_no_manifest(run_module: Run) -> None:
    result = run_module("artifact_archive", {"artifacts": [], "manifest": None})
    assert not result.failed
    assert not result["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_errors_change_nothing(site: Path, run_module: Run, check: bool) -> None:
    (site / "archive/v1.0.0.yml").write_text("version: v1.0.0 # of before\n")
    before = snapshot(site)
    for bad, path in (
        (args(site), str(site / "archive/v1.0.0.yml")),
        (args(site, mode="774", manifest=None), "mode"),
        (args(site, artifacts=[{"file": "y.sif", "size": 5, "search": [str(site)]}]), "y.sif"),
        (args(site, artifacts=[{"file": "x.sif", "size": 6, "search": [str(site / "incoming")]}]), "x.sif"),
    ):
        result = run_module("artifact_archive", bad, check=check)
        assert result.failed
        assert not result["changed"]
        assert result["where"].endswith(path)
        assert result["found"]
        assert result["expected"]
        assert result["todo"]
    assert snapshot(site) == before


def test_a_failure_half_way_reports_a_change(site: Path, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(actions: object) -> None:
        raise OSError(5, "Input/output error", str(site))

    monkeypatch.setattr("ansible_collections.ousamg.anno.plugins.modules.artifact_archive.apply", fail)
    result = run_module("artifact_archive", args(site))
    assert result.failed
    assert result["changed"]
    assert "EIO" in result["found"]
