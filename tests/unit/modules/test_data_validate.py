"""modules/data_validate.py; which problems there are is tested with the module_util."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox.packages import set_modes
from support_data import Site
from support_tree import snapshot
from support_validate import CLINVAR, CONFIG, make_data

Run = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    make_data(data)
    return data


@pytest.mark.parametrize("check", [False, True])
def test_a_healthy_folder(run_module: Run, data: Path, check: bool) -> None:
    before = snapshot(data.parent)
    result = run_module("data_validate", {"data": str(data), "strict": True, "checksums": True}, check=check, diff=True)
    assert (result["changed"], result["problems"], result.warned) == (False, [], [])
    assert result["msg"] == f"{data}: nothing is wrong."
    assert result["sources"][0] == {
        "name": "clinvar",
        "version": "20230504",
        "timestamp": "2023-06-01 08:00:00+00:00",
        "destination": "variantDBs/clinvar",
        "tables": 1,
    }
    assert snapshot(data.parent) == before


def test_an_error_fails_unless_told_otherwise(run_module: Run, data: Path) -> None:
    (data / f"{CLINVAR}.tbi").unlink()
    result = run_module("data_validate", {"data": str(data)})
    assert result.failed
    assert result["msg"].startswith(
        f"{data}: 2 errors and 0 warnings. The first: variantDBs/clinvar/MD5SUM: files that"
    )
    assert [problem["code"] for problem in result["problems"]] == ["md5sum-file-missing", "index-missing"]
    assert set(result["problems"][0]) == {"code", "severity", "path", "message"}
    told = run_module("data_validate", {"data": str(data), "fail": False})
    assert not told.failed and told["problems"] == result["problems"] and told.warned == []


def test_a_warning_warns_and_fails_when_strict(run_module: Run, data: Path) -> None:
    (data / CONFIG).chmod(0o600)
    result = run_module("data_validate", {"data": str(data)})
    assert not result.failed
    assert result.warned == [f".: {result['problems'][0]['message']}"]
    assert "1 warning." in result["msg"]
    assert run_module("data_validate", {"data": str(data), "strict": True}).failed
    assert not run_module("data_validate", {"data": str(data), "strict": True, "fail": False}).failed


def test_lua(run_module: Run, data: Path) -> None:
    text = (data / CONFIG).read_text()
    (data / CONFIG).write_text(text.replace('op = "sum"', f"op = {json.dumps('lua:GNOMAD_EXOMES__AC')}"))
    result = run_module("data_validate", {"data": str(data)})
    assert [problem["code"] for problem in result["problems"]] == ["lua-missing"]
    assert run_module("data_validate", {"data": str(data), "lua": True})["problems"] == []


@pytest.mark.parametrize("strategy", ["auto", "packages"])
def test_what_was_unpacked_is_healthy(run_module: Run, site: Site, strategy: str) -> None:
    """Also the times of the indexes, and the receipt and other files of the engine. What is told was there before."""
    set_modes(site.data)
    own = [("package-version", "VEP/cache"), ("file-unknown", ".")]
    for _ in range(2):
        result = run_module("data_validate", {"data": str(site.data), "checksums": True, "fail": False})
        assert [(problem["code"], problem["path"]) for problem in result["problems"]] == own
        run_module("data_unpack", {"src": str(site.archive), "data": str(site.data), "strategy": strategy})
    assert {source["name"]: source["version"] for source in result["sources"]}["clinvar"] == "20240107"


def test_no_folder(run_module: Run, tmp_path: Path) -> None:
    result = run_module("data_validate", {"data": str(tmp_path / "gone")})
    assert result.failed and result["todo"] and "gone: No such file" in result["msg"]
