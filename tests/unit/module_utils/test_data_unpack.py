"""module_utils/data_unpack.py: a kill or an error at every step of a whole run. Its promises and refusals are tested
with the module."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import (
    data_switch,
    data_unpack,
    extract,
    generation,
    next_generation,
    unpack_plan,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_switch import PACKAGES
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.unpack_plan import Request
from support_faults import broken_disk, full_disk, memory_folder, run_and_kill
from support_tree import contents, snapshot
from support_unpack import apply, make, make_archive, request

STRATEGIES = (unpack_plan.AUTO, PACKAGES)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk after a power cut is not looked at here: no waiting for the disk."""
    for module in (data_switch, next_generation):
        monkeypatch.setattr(module, "sync_filesystem", lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(extract, "_BLOCK", 4096)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "a.tar")


def finished(top: Path, archive: Path) -> dict[str, str]:
    """What the data are when nothing goes wrong."""
    data = make(top)
    apply(request(archive, data, unpack_plan.AUTO))
    return contents(data)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_at_every_step(tmp_path: Path, archive: Path, strategy: str) -> None:
    new = finished(tmp_path / "reference", archive)
    found = []
    for number in itertools.count(1):
        top = tmp_path / str(number)
        data = make(top)
        old = contents(data)
        wanted = request(archive, data, strategy)
        ended = run_and_kill(lambda: apply(wanted), number)  # noqa: B023
        if strategy == unpack_plan.AUTO:
            found.append(contents(data) == new)
            assert found[-1] or contents(data) == old
        else:
            assert contents(data / "same") == {name[5:]: c for name, c in old.items() if name.startswith("same/")}
        outcome = apply(wanted)
        assert contents(data) == new
        assert not data_unpack.check(wanted)[1].reasons
        assert os.listdir(top / ".data.anno") == ["generations"]
        (kept,) = generation.kept(generation.open_store(str(data)))
        assert kept.id.startswith("adopted-") and outcome.generation == generation.id_of(str(data))
        shutil.rmtree(top)
        if ended:
            break
    assert number > 30
    assert found == sorted(found)


@pytest.mark.parametrize("disk", [broken_disk, full_disk])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_error_at_every_step(tmp_path: Path, archive: Path, strategy: str, disk: Any) -> None:
    new = finished(tmp_path / "reference", archive)
    failures = 0
    for number in itertools.count(1):
        top = tmp_path / str(number)
        data = make(top)
        before = snapshot(data)
        wanted = request(archive, data, strategy)
        with disk(number) as reached:
            try:
                apply(wanted)
                failed = False
            except OSError:
                failed = True
        Path(top, ".data.anno", "lock").unlink(missing_ok=True)  # where that failed: its process would be gone by now
        if failed:
            failures += 1
            assert contents(data) == {name: node.content for name, node in before.items() if node.kind != "folder"}
            if strategy == unpack_plan.AUTO:
                assert snapshot(data) == before
            if disk is full_disk and os.path.exists(top / ".data.anno"):
                # The switch failed: what was built is complete and verified, and need not be built again.
                assert generation.read_receipt(str(top / ".data.anno" / "next"))
            apply(wanted)
        assert contents(data) == new
        assert not data_unpack.check(wanted)[1].reasons
        shutil.rmtree(top)
        if not reached():
            break
    assert failures > 20


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("what", ["state", "receipt"])
def test_another_deployer_with_a_lock_of_its_own(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, what: str
) -> None:
    """One that has the data folder mounted starts, or has come and gone, while the next generation is built."""
    data = make(tmp_path)
    before = contents(data)
    build = next_generation.build

    def slow(*args: Any) -> str:
        built = build(*args)
        if what == "state":
            (data / ".anno").mkdir()
        else:
            generation.write_receipt(str(data), {"generation": "theirs"}, Ownership(0o664))
        return built

    monkeypatch.setattr(next_generation, "build", slow)
    found = "has begun to work in it" if what == "state" else "another release was deployed here"
    with pytest.raises(AnnoError, match=found):
        data_unpack.apply(Request(str(archive), str(data), Ownership(0o664), strategy=strategy))
    assert contents(data) == before
    assert not (tmp_path / ".data.anno").exists()
    monkeypatch.undo()
    data_unpack.apply(Request(str(archive), str(data), Ownership(0o664), strategy=strategy))
    assert (data / ".anno").exists() is (what == "state")
