"""The module data_rollback."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_switch, generation, lock
from sandbox.archive import make_archive
from sandbox.packages import data_folder
from support_data import CLINVAR, FASTA, Site
from support_tree import contents, snapshot

Run = Callable[..., Any]


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
            if done["strategy"] == "packages":
                assert predicted["strategy"] == "packages"
                assert predicted["caveat"].startswith("Readers can see packages of both releases during the switch: ")
            else:
                assert (predicted["strategy"], predicted["caveat"]) == (None, None)
            assert (done["caveat"] is None) == (done["strategy"] in (None, "exchange"))
            assert (predicted.warned, done.warned) == ([], [done["caveat"]] if done["caveat"] else [])
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


def test_back_and_forth_where_two_folders_cannot_be_exchanged(
    site: Site, unpack: Run, rollback: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(a: str, b: str) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    before = contents(site.data)
    unpack()
    after = contents(site.data)
    monkeypatch.setattr(data_switch, "exchange", without)
    for expected in (before, after, before):
        back = rollback()
        assert back["strategy"] == "renames" and "renameat2 says EINVAL" in back["caveat"]
        assert contents(site.data) == expected


@pytest.mark.parametrize("strategy", ["auto", "packages"])
def test_no_tree_is_walked(site: Site, unpack: Run, run_module: Run, strategy: str) -> None:
    """It takes as long for a hundred thousand files as for ten: no folder of a generation is listed."""
    unpack(strategy=strategy)
    listed: list[str] = []

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event in ("os.listdir", "os.scandir", "os.walk") and listening:
            listed.append(os.fspath(args[0]) if isinstance(args[0], (str, os.PathLike)) else str(args[0]))

    listening = True
    sys.addaudithook(note)
    back = run_module("data_rollback", {"data": str(site.data)})
    listening = False
    assert back["changed"]
    state = str(site.data.parent / ".data.anno")
    # The emptied folders of a partial generation are removed.
    own = [path for path in listed if path.startswith(str(site.top)) and ".data.anno/trash." not in path]
    assert own and set(own) == {state, f"{state}/generations"}, own


def test_after_a_rollback_the_way_leads_back_and_survives_a_prune(
    site: Site, unpack: Run, rollback: Run, run_module: Run
) -> None:
    unpack(packages=["clinvar"])
    second = unpack(packages=["seqrepo"])
    after = contents(site.data)
    rollback()
    run_module("data_prune", {"data": str(site.data), "keep": 1})
    assert rollback()["generation"] == second["generation"]
    assert contents(site.data) == after


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


@pytest.mark.parametrize("strategy", ["auto", "packages"])
@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("sources", "its sources.json is missing"),
        ("receipt", "its .anno-receipt.json is missing"),
        ("replaced", f"its folder {CLINVAR} is missing"),
        ("taken over", f"its {FASTA}/DATA_READY is missing"),
        ("other", f"its {CLINVAR}/DATA_READY is not the one"),
    ],
)
def test_an_incomplete_one_is_refused_before_anything_is_switched(
    site: Site, unpack: Run, rollback: Run, strategy: str, damage: str, found: str
) -> None:
    first = unpack(strategy=strategy)
    (site.archive.parent / "other").mkdir()
    data_folder(site.archive.parent / "other", {"clinvar": "20240204"})
    make_archive(site.archive, site.archive.parent / "other", ["clinvar"])
    unpack(strategy=strategy)
    kept = generation.find(generation.open_store(str(site.data)), None)
    assert kept.id == first["generation"]
    top = Path(kept.path)
    if damage == "sources":
        (top / "sources.json").unlink()
    elif damage == "receipt":
        (top / generation.RECEIPT).write_text("{}")
    elif damage == "replaced":
        shutil.rmtree(top / CLINVAR)
    elif damage == "taken over":
        # A partial generation takes it from what is live.
        ((site.data if strategy == "packages" else top) / FASTA / "DATA_READY").unlink()
    else:
        (top / CLINVAR / "DATA_READY").unlink()
        (top / CLINVAR / "DATA_READY").write_text("version: '1'\n")
    refused = rollback()
    assert refused.failed and found in refused["found"], refused
    assert first["previous"] in refused["expected"] and refused["where"] == kept.path


def test_the_undoing_of_a_first_deployment_leaves_the_empty_folder(site: Site, unpack: Run, rollback: Run) -> None:
    """Nobody rolls back to nothing, but a deployment that failed leaves what was there before it."""
    shutil.rmtree(site.data)
    site.data.mkdir()
    there = unpack()
    assert "its sources.json is missing" in rollback()["found"]
    rollback(to=there["previous"], keep=False)
    assert os.listdir(site.data) == []


def test_a_partial_generation_that_cannot_be_read(site: Site, unpack: Run, rollback: Run) -> None:
    unpack(strategy="packages")
    kept = generation.find(generation.open_store(str(site.data)), None)
    Path(kept.path, generation.PARTIAL).write_text('{"files": []}')
    assert "cannot be read" in rollback()["found"]


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
            os.symlink(json.dumps(holder), store.lock)
            assert f"(pid {process.pid})" in rollback()["found"]
        finally:
            process.kill()
