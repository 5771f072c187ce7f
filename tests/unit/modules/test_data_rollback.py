"""The module data_rollback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import generation, lock
from support_data import Site, copy_site, make_site
from support_tree import contents, snapshot

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("original"))


@pytest.fixture
def site(original: Site, tmp_path: Path) -> Site:
    return copy_site(original, tmp_path / "site")


@pytest.fixture
def unpack(site: Site, run_module: Run) -> Run:
    def run(**args: Any) -> Any:
        result = run_module("data_unpack", {"src": str(site.archive), "data": str(site.data), **args})
        assert not result.failed, result
        return result

    return run


@pytest.fixture
def rollback(site: Site, run_module: Run) -> Run:
    """Run the module; the dry run before it writes nothing and tells what the run returns."""

    def run(**args: Any) -> Any:
        given = {"data": str(site.data), **args}
        before = snapshot(site.data.parent)
        predicted = run_module("data_rollback", given, check=True, diff=True)
        assert snapshot(site.data.parent) == before
        done = run_module("data_rollback", given, diff=True)
        assert predicted.failed == done.failed
        if done.failed:
            assert (predicted["msg"], snapshot(site.data.parent)) == (done["msg"], before)
        else:
            for key in ("changed", "packages", "diff", "generation", "previous"):
                assert predicted[key] == done[key], key
        return done

    return run


@pytest.mark.parametrize("strategy", ["auto", "renames", "packages"])
def test_back_and_forth(site: Site, unpack: Run, rollback: Run, strategy: str) -> None:
    before = contents(site.data)
    there = unpack(strategy=strategy)
    after = contents(site.data)
    back = rollback()
    assert contents(site.data) == before
    assert back["changed"]
    assert back["strategy"] == ("packages" if strategy == "packages" else "exchange")
    assert (back["generation"], back["previous"]) == (there["previous"], there["generation"])
    assert back["packages"] == [
        {"name": "clinvar", "destination": None, "before": "20240107", "after": "20230504"},
        {"name": "fasta", "destination": None, "before": "37", "after": None},
        {"name": "seqrepo", "destination": None, "before": "2021-01-29", "after": "2018-08-21"},
    ]
    assert [part["before_header"].split()[0] for part in back["diff"]] == [
        "packages", "sources.json", "vcfanno_config.toml"
    ]  # fmt: skip
    forth = rollback()
    assert contents(site.data) == after
    assert forth["generation"] == there["generation"]
    assert unpack()["changed"] is False


def test_to_what_is_live_changes_nothing(site: Site, unpack: Run, rollback: Run) -> None:
    there = unpack()
    same = rollback(to=there["generation"])
    assert (same["changed"], same["generation"], same["previous"]) == (False, there["generation"], None)
    assert rollback(to=there["previous"])["changed"]
    again = rollback(to=there["previous"])
    assert (again["changed"], again["generation"]) == (False, there["previous"]), "also to one made by hand"


def test_without_keeping_everything_is_as_before_and_ready(site: Site, unpack: Run, rollback: Run) -> None:
    """What a deployment does that fails after its switch."""
    before = snapshot(site.data)
    there = unpack()
    rollback(to=there["previous"], keep=False)
    assert snapshot(site.data) == before
    assert os.listdir(site.data.parent / ".data.anno") == ["next"]
    again = unpack()
    assert again["reused"] and again["generation"] == there["generation"]


def test_to_an_older_one(site: Site, unpack: Run, rollback: Run) -> None:
    before = contents(site.data)
    first = unpack(packages=["clinvar"])
    unpack(packages=["seqrepo"])
    result = rollback(to=first["previous"])
    assert contents(site.data) == before
    assert {package["name"] for package in result["packages"]} == {"clinvar", "seqrepo"}


def test_partial_generations_go_step_by_step(site: Site, unpack: Run, rollback: Run) -> None:
    before = contents(site.data)
    first = unpack(packages=["clinvar"], strategy="packages")
    unpack(packages=["seqrepo"], strategy="packages")
    refused = rollback(to=first["previous"])
    assert refused.failed and f"differs from {first['generation']}" in refused["found"]
    rollback()
    rollback(to=first["previous"])
    assert contents(site.data) == before


def test_nothing_to_return_to(site: Site, unpack: Run, rollback: Run) -> None:
    assert "no earlier generation is kept" in rollback()["found"]
    assert not (site.data.parent / ".data.anno").exists()
    there = unpack()
    unknown = rollback(to="20200101T000000000Z-00000000")
    assert there["previous"] in unknown["expected"]


def test_a_missing_folder(site: Site, rollback: Run) -> None:
    shutil.rmtree(site.data)
    assert "there is no such folder" in rollback()["found"]


def test_somebody_else_at_work(site: Site, unpack: Run, rollback: Run) -> None:
    unpack()
    store = generation.open_store(str(site.data))
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            holder = {**lock._me("unpack other.tar"), "pid": process.pid, "start": lock._start_time(process.pid)}
            Path(store.lock).write_text(json.dumps(holder))
            assert f"(pid {process.pid})" in rollback()["found"]
        finally:
            process.kill()
