"""The modules data_unpack and data_archive_info with archives that are compressed, by the programs that do so."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import archive_file
from ansible_collections.ousamg.anno.plugins.module_utils.generation import read_receipt
from backports import zstd
from support_data import ARCHIVE, Site, copy_site, make_site
from support_tree import contents, snapshot

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("original"))


@pytest.fixture
def plain(original: Site, tmp_path: Path) -> Site:
    return copy_site(original, tmp_path / "plain")


@pytest.fixture(params=[gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def site(original: Site, tmp_path: Path, request: pytest.FixtureRequest) -> Site:
    """The archive is compressed, under a name that does not tell."""
    made = copy_site(original, tmp_path / "site")
    made.archive.write_bytes(request.param(original.archive.read_bytes()))
    return made


def sha256(site: Site) -> str:
    return hashlib.sha256(site.archive.read_bytes()).hexdigest()


def args(site: Site, **more: Any) -> dict[str, Any]:
    return {"src": str(site.archive), "data": str(site.data), **more}


def test_what_is_in_it(site: Site, plain: Site, run_module: Run) -> None:
    found = run_module("data_archive_info", {"path": str(site.archive), "sha256": True})
    assert found["packages"] == run_module("data_archive_info", {"path": str(plain.archive)})["packages"]
    assert (found["size"], found["sha256"]) == (site.archive.stat().st_size, sha256(site))


def test_it_is_unpacked_as_if_it_were_plain(site: Site, plain: Site, run_module: Run) -> None:
    before = snapshot(site.top)
    predicted = run_module("data_unpack", args(site), check=True, diff=True)
    assert snapshot(site.top) == before
    progress = site.top / "progress"
    done = run_module("data_unpack", args(site, sha256=sha256(site), progress=str(progress)), diff=True)
    expected = run_module("data_unpack", args(plain), diff=True)
    for key in ("changed", "reasons", "packages", "files", "bytes", "diff"):
        assert predicted[key] == done[key] == expected[key], key
    assert contents(site.data) == contents(plain.data)
    state = json.loads(progress.read_text())
    assert state["done"] == state["total"] == site.archive.stat().st_size
    receipt = read_receipt(str(site.data))
    assert receipt is not None
    assert (receipt["archive"]["size"], receipt["archive"]["sha256"]) == (state["total"], sha256(site))


def test_again_it_is_not_even_opened(site: Site, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not run_module("data_unpack", args(site)).failed
    monkeypatch.setattr(archive_file, "_CompressedFile", lambda *_, **__: pytest.fail("it was opened"))
    again = run_module("data_unpack", args(site, sha256=sha256(site)))
    assert again["changed"] is False and len(again["packages"]) == len(ARCHIVE)


def test_the_checksum_is_that_of_the_file(site: Site, plain: Site, run_module: Run) -> None:
    before = snapshot(site.data)
    result = run_module("data_unpack", args(site, sha256=sha256(plain)))
    assert result.failed and f"its sha256 is {sha256(site)}" in result["found"]
    assert snapshot(site.data) == before


@pytest.mark.parametrize("what", ["cut off", "garbage", "another tar"])
def test_what_is_not_whole_is_refused(site: Site, run_module: Run, what: str) -> None:
    whole = site.archive.read_bytes()
    broken = {"cut off": whole[:-9], "garbage": whole + b"garbage" * 9, "another tar": whole + whole}[what]
    site.archive.write_bytes(broken)
    before = snapshot(site.data.parent)
    result = run_module("data_unpack", args(site))
    assert result.failed and result["where"] == str(site.archive)
    reasons = {"cut off": "data end too early", "garbage": " follows its", "another tar": "data after its end"}
    assert reasons[what] in result["found"]
    assert snapshot(site.data.parent) == before


def test_it_changes_between_the_two_passes(site: Site, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second pass finds less than the first: nothing of it becomes live."""
    before = snapshot(site.data)
    really, opened = archive_file.os.fstat, []

    def shortened(fd: int) -> os.stat_result:
        if os.readlink(f"/proc/self/fd/{fd}") == str(site.archive):
            opened.append(fd)
            if len(opened) == 2:
                site.archive.write_bytes(gzip.compress(bytes(1024)))
        return really(fd)

    monkeypatch.setattr(archive_file.os, "fstat", shortened)
    result = run_module("data_unpack", args(site))
    assert result.failed and "it ended before" in result["found"]
    assert snapshot(site.data) == before
