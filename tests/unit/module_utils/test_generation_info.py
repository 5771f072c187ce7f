"""module_utils/generation_info.py: the sizes with du(1) as the judge, and what is told of each generation."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_switch, generation, generation_info, lock
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.generation import GenerationError, Partial, Store
from ansible_collections.ousamg.anno.plugins.module_utils.generation_info import Generation, Package
from support_faults import run_and_kill
from support_user import as_nobody, world_folder

SOURCES = {"b": {"version": "2", "vcfanno": [{"file": "x/b/b.vcf.gz"}]}, "a": {"version": 1}}


def make(folder: Path, name: str | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "sources.json").write_text(json.dumps(SOURCES))
    if name:
        generation.write_receipt(str(folder), {"generation": name, "created": "20260101T000000000Z"}, Ownership(0o664))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One live, one ready, two kept, one of which is partial."""
    make(tmp_path / "data", "live")
    found = generation.open_store(str(tmp_path / "data"))
    make(Path(found.next), "staged")
    make(Path(found.generations, "000001.first"), "first")
    second = make(Path(found.generations, "000002.second"), "second")
    generation.mark_partial(str(second), Partial((), (), "live", "no links"))
    return found


def fill(store: Store) -> None:
    """Files of every size, sparse ones and links in all generations, many of them the same under several names."""
    numbers = random.Random(1)
    folders = [Path(store.data), Path(store.next), *(Path(kept.path) for kept in generation.kept(store))]
    made: list[Path] = []
    for number in range(300):
        path = numbers.choice(folders) / numbers.choice(["", "a", "a/b", "c"]) / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = numbers.choice(["file", "link", "link", "link", "symlink", "sparse"])
        if kind == "file" or not made:
            path.write_bytes(b"x" * numbers.choice([0, 1, 4096, 5000, 100_000]))
        elif kind == "link":
            os.link(numbers.choice(made), path, follow_symlinks=False)
        elif kind == "symlink":
            path.symlink_to("nowhere" * numbers.choice([1, 20]))
        else:
            with path.open("wb") as stream:
                stream.truncate(10_000_000)
        made.append(path)


def du(*paths: str) -> int:
    """Bytes on disk, each inode once."""
    run = subprocess.run(["du", "-sc", "-B1", *paths], capture_output=True, text=True, check=True)
    return int(run.stdout.splitlines()[-1].split()[0])


def content(path: str) -> tuple[int, int]:
    """Files and their bytes: find(1) names all but folders, each inode once."""
    run = subprocess.run(
        ["find", path, "!", "-type", "d", "-printf", "%i %s\n"], capture_output=True, text=True, check=True
    )
    files = {line.split()[0]: int(line.split()[1]) for line in run.stdout.splitlines()}
    return len(files), sum(files.values())


def by_id(data: str) -> dict[str | None, Generation]:
    return {found.id: found for found in generation_info.inspect(data).generations}


def test_the_sizes_are_those_of_du(store: Store) -> None:
    fill(store)
    leftover = Path(store.state, "trash.000001.gone")
    leftover.mkdir()
    (leftover / "x").write_bytes(b"x" * 9000)
    os.link(Path(store.data, "sources.json"), leftover / "shared")
    Path(store.lock).write_text("{}")
    report = generation_info.inspect(store.data)
    everything = du(store.data, store.state)
    assert report.disk_bytes == everything
    assert len(report.generations) == 4
    for found in report.generations:
        assert (found.usage.files, found.usage.bytes) == content(found.path)
        assert found.usage.exclusive_bytes > 0
    sizes = {found.path: found.usage.exclusive_bytes for found in report.generations} | dict(report.leftovers)
    assert str(leftover) in sizes and len(sizes) == 5
    # What removing one gives back is what du misses without it.
    for path, size in sizes.items():
        aside = Path(store.data).parent / "aside"
        os.rename(path, aside)
        assert everything - du(*filter(os.path.exists, (store.data, store.state))) == size
        os.rename(aside, path)


def test_a_name_elsewhere_keeps_the_file(store: Store) -> None:
    big = Path(store.next, "big")
    big.write_bytes(b"x" * 100_000)
    before = by_id(store.data)["staged"].usage
    os.link(big, Path(store.data).parent / "elsewhere")
    after = by_id(store.data)["staged"].usage
    assert after.bytes == before.bytes
    assert before.exclusive_bytes - after.exclusive_bytes == big.stat().st_blocks * 512


def test_what_is_told_of_each(store: Store) -> None:
    shutil.rmtree(Path(store.generations, "000001.first"))
    make(Path(store.generations, "000001.adopted-20200101T000000000Z"))
    found = generation_info.inspect(store.data).generations
    packages = (Package("a", "1", None), Package("b", "2", "x/b"))
    assert [(g.id, g.state, g.order, g.base, g.created) for g in found] == [
        ("live", "live", None, None, "20260101T000000000Z"),
        ("staged", "ready", None, None, "20260101T000000000Z"),
        ("second", "kept", 2, "live", "20260101T000000000Z"),
        ("adopted-20200101T000000000Z", "kept", 1, None, "20200101T000000000Z"),
    ]
    assert {g.packages for g in found} == {packages}
    assert [g.obstacle for g in found] == [
        "it is live", "it has not been live yet: data_unpack switches to it", None, None
    ]  # fmt: skip


def test_packages_of_the_receipt(store: Store) -> None:
    archive = {"path": "a.tar", "size": 1, "mtime_ns": 1, "sha256": "0", "destinations": ["FASTA", "zzz"]}
    records = [
        {"name": name, "destination": place, "version": "7", "timestamp": None, "source": None, "ready": "0",
         "archive": archive}
        for name, place in (("a", "FASTA"), (None, "zzz"))
    ]  # fmt: skip
    receipt = {"generation": "live", "packages": records}
    generation.write_receipt(store.data, receipt, Ownership(0o664))
    assert by_id(store.data)["live"].packages == (
        Package("a", "1", "FASTA"), Package("b", "2", "x/b"), Package("zzz", "7", "zzz")
    )  # fmt: skip


def test_a_folder_made_by_hand_and_nothing_else(tmp_path: Path) -> None:
    data = make(tmp_path / "data")
    report = generation_info.inspect(str(data))
    ((live,), rest) = report.generations, report[1:]
    assert (live.id or "").startswith("adopted-") and live.created == (live.id or "")[len("adopted-") :]
    assert live.packages[1] == Package("b", "2", "x/b")
    assert rest == (du(str(data)), None, None, ())


def test_half_built_and_damaged_ones(store: Store) -> None:
    Path(store.next, generation.RECEIPT).unlink()
    Path(store.generations, "000001.first", "sources.json").write_text("{")
    Path(store.generations, "000002.second", generation.PARTIAL).write_text("{")
    live, building, second, first = generation_info.inspect(store.data).generations
    assert (building.id, building.state, building.obstacle) == (None, "building", "it is half built")
    assert "not JSON" in (first.obstacle or "") and first.problem == first.obstacle
    assert "cannot be read" in (second.obstacle or "") and second.problem
    assert live.problem is None


def test_a_partial_one_whose_base_is_not_live(store: Store) -> None:
    make(Path(store.data).parent / "other", "other")
    shutil.rmtree(store.data)
    os.rename(Path(store.data).parent / "other", store.data)
    second = by_id(store.data)["second"]
    assert (second.base, second.obstacle) == (
        "live", "it holds only what differs from live, which is not live: return to that one first"
    )  # fmt: skip


def test_who_works_here_and_what_was_interrupted(store: Store) -> None:
    number = 1
    while os.path.isdir(store.data):
        run_and_kill(lambda: switch_by_renames(store), number)
        number += 1
    result = generation_info.result(generation_info.inspect(store.data))
    assert result["live"] is None
    assert result["generations"][0]["state"] == "ready"
    assert result["interrupted"] == "a switch to staged was interrupted: the next run finishes or undoes it"
    assert (result["lock"]["purpose"], result["lock"]["gone"]) == ("test", True)
    Path(store.journal).write_text("{")
    os.unlink(store.lock)
    os.symlink(json.dumps(lock._me("x")), store.lock)
    result = generation_info.result(generation_info.inspect(store.data))
    assert "cannot be read" in result["interrupted"]
    assert (result["lock"]["pid"], result["lock"]["gone"]) == (os.getpid(), False)
    os.unlink(store.lock)
    Path(store.lock).touch()
    assert generation_info.result(generation_info.inspect(store.data))["lock"]["host"] is None


def switch_by_renames(store: Store) -> None:
    with data_switch.locked(store, "test"):
        data_switch.switch(store, store.next, allow_exchange=False)


@pytest.fixture
def foreign() -> Iterator[Path]:
    with world_folder() as top:
        data = make(top / "data")
        (data / "closed/below").mkdir(parents=True)
        (data / "closed/below/file").write_bytes(b"x" * 5000)
        (data / "closed").chmod(0o700)
        yield data


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_what_may_not_be_read_is_told(foreign: Path) -> None:
    with as_nobody():
        (live,) = generation_info.inspect(str(foreign)).generations
    assert live.usage.unreadable == ("closed",)
    assert live.usage.files == 1


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="no such folder"):
        generation_info.inspect(str(tmp_path / "gone"))
