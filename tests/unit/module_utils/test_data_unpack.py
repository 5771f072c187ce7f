"""module_utils/data_unpack.py: a kill or an error at every step of a whole run. Its promises and refusals are tested
with the module."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import data_switch, data_unpack, extract, generation
from ansible_collections.ousamg.anno.plugins.module_utils.data_switch import EXCHANGE, PACKAGES
from ansible_collections.ousamg.anno.plugins.module_utils.data_unpack import Outcome, Request, UnpackError
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from support_faults import broken_disk, full_disk, memory_folder, run_and_kill
from support_tree import contents, snapshot

STRATEGIES = (data_unpack.AUTO, PACKAGES)
CONFIG = '[[annotation]]\nfile = "p/p_1.vcf.gz"\nfields = ["A"]\nnames = ["A"]\nops = ["first"]\n'


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk after a power cut is not looked at here: no waiting for the disk."""
    for module in (data_switch, data_unpack):
        monkeypatch.setattr(module, "sync_filesystem", lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(extract, "_BLOCK", 4096)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "a.tar"
    files = tar.package({"p_2.vcf.gz": "new" * 400, "sub/x": "x"}, "2")
    sources = {"p": tar.source("2", "p/p_2.vcf.gz"), "other": tar.source("9")}
    path.write_bytes(tar.data_archive(["p"], sources, [*tar.below("p", files), tar.symlink("p/latest", "sub")]))
    return path


def make(top: Path) -> Path:
    data = top / "data"
    for place, files in {"p": tar.package({"p_1.vcf.gz": "old"}), "same": tar.package({"s": "s"})}.items():
        for name, content in files.items():
            (data / place).mkdir(parents=True, exist_ok=True)
            (data / place / name).write_bytes(content)
    sources = {"p": tar.source("1", "p/p_1.vcf.gz"), "same": tar.source("1")}
    (data / "sources.json").write_text(json.dumps(sources))
    (data / "vcfanno_config.toml").write_text(CONFIG)
    return data


def request(archive: Path, data: Path, strategy: str, **changes: Any) -> Request:
    return Request(str(archive), str(data), Ownership(0o664), strategy=strategy, **changes)


def apply(wanted: Request) -> Outcome:
    return data_unpack.apply(wanted)[2]


def finished(top: Path, archive: Path) -> dict[str, str]:
    """What the data are when nothing goes wrong."""
    data = make(top)
    apply(request(archive, data, data_unpack.AUTO))
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
        if strategy == data_unpack.AUTO:
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
            if strategy == data_unpack.AUTO:
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


def test_an_archive_that_changes_while_it_is_read(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(tmp_path / "site")
    before = snapshot(tmp_path / "site")
    really = data_unpack.extract

    def changing(*args: Any) -> Any:
        done = really(*args)
        os.utime(archive, (1, 1))
        return done

    monkeypatch.setattr(data_unpack, "extract", changing)
    with pytest.raises(UnpackError, match="it was changed while it was read"):
        apply(request(archive, data, EXCHANGE))
    assert snapshot(tmp_path / "site") == before


def test_the_receipt(tmp_path: Path, archive: Path) -> None:
    data = make(tmp_path / "site")
    outcome = apply(request(archive, data, data_unpack.AUTO))
    receipt = generation.read_receipt(str(data))
    assert receipt is not None
    assert (receipt["generation"], receipt["previous"]) == (outcome.generation, outcome.previous)
    assert receipt["archive"]["size"] == archive.stat().st_size
    (package,) = receipt["packages"]
    assert (package["name"], package["destination"], package["version"]) == ("p", "p", "2")


def test_a_package_whose_name_is_unknown_is_replaced_all_the_same(tmp_path: Path, archive: Path) -> None:
    data = make(tmp_path / "site")
    entries = [*tar.below("zzz", tar.package({"a": "1"})), *tar.below("yyy", tar.package({"b": "1"}))]
    archive.write_bytes(tar.data_archive(["seq", "fasta"], {"seq": tar.source(), "fasta": tar.source()}, entries))
    wanted = request(archive, data, data_unpack.AUTO)
    situation, plan, _ = data_unpack.apply(wanted)
    assert [change.name for change in plan.changes] == ["yyy", "zzz"]
    assert set(json.loads((data / "sources.json").read_text())) == {"p", "same", "seq", "fasta"}
    assert (data / "zzz" / "a").exists() and situation.archive is not None
    assert not data_unpack.check(wanted)[1].reasons
    with pytest.raises(UnpackError, match="which folder is seq cannot be told"):
        data_unpack.check(request(archive, data, data_unpack.AUTO, packages=("seq",), sha256="0" * 64))


def test_the_config_is_made_where_there_is_none(tmp_path: Path, archive: Path) -> None:
    data = make(tmp_path / "site")
    (data / "vcfanno_config.toml").unlink()
    sources = json.loads((data / "sources.json").read_text())
    sources["same"] = tar.source("1", "same/s")
    (data / "sources.json").write_text(json.dumps(sources))
    apply(request(archive, data, data_unpack.AUTO))
    text = (data / "vcfanno_config.toml").read_text()
    assert [line for line in text.splitlines() if line.startswith("file")] == [
        'file = "same/s"', 'file = "p/p_2.vcf.gz"'
    ]  # fmt: skip


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("what", ["state", "receipt"])
def test_another_deployer_with_a_lock_of_its_own(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, what: str
) -> None:
    """One that has the data folder mounted starts, or has come and gone, while the next generation is built."""
    data = make(tmp_path)
    before = contents(data)
    build = data_unpack._build

    def slow(*args: Any) -> str:
        built = build(*args)
        if what == "state":
            (data / ".anno").mkdir()
        else:
            generation.write_receipt(str(data), {"generation": "theirs"}, Ownership(0o664))
        return built

    monkeypatch.setattr(data_unpack, "_build", slow)
    found = "has begun to work in it" if what == "state" else "another release was deployed here"
    with pytest.raises(AnnoError, match=found):
        data_unpack.apply(Request(str(archive), str(data), Ownership(0o664), strategy=strategy))
    assert contents(data) == before
    assert not (tmp_path / ".data.anno").exists()
    monkeypatch.undo()
    data_unpack.apply(Request(str(archive), str(data), Ownership(0o664), strategy=strategy))
    assert (data / ".anno").exists() is (what == "state")
