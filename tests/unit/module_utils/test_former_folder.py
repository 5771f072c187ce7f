"""module_utils/former_folder.py: a package that an archive brings to another place than the one it lies in."""

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
from ansible_collections.ousamg.anno.plugins.module_utils import (
    data_rollback,
    data_switch,
    data_unpack,
    former_folder,
    generation,
    next_generation,
)
from ansible_collections.ousamg.anno.plugins.module_utils.data_switch import PACKAGES
from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership
from ansible_collections.ousamg.anno.plugins.module_utils.unpack_plan import AUTO, Request
from support_faults import memory_folder, run_and_kill
from support_tree import contents, snapshot

STRATEGIES = (AUTO, PACKAGES)
# In the order of deployment: clinvar has annotation tables, seqrepo has none.
OLD = {"clinvar": "variantDBs/clinvar", "seqrepo": "old/seqrepo", "hgmd": "variantDBs/hgmd"}
NEW = {"clinvar": "clinical/clinvar", "seqrepo": "seqrepo"}


@pytest.fixture
def top() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on disk after a power cut is not looked at here: no waiting for the disk."""
    for module in (data_switch, next_generation):
        monkeypatch.setattr(module, "sync_filesystem", lambda path: None)
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def source(name: str, place: str, version: str) -> Any:
    return tar.source(version, *([] if name == "seqrepo" else [f"{place}/{name}_{version}.vcf.gz"]))


def archive(path: Path, places: dict[str, str], version: str) -> Path:
    sources = {name: source(name, place, version) for name, place in places.items()}
    entries: list[bytes] = []
    for name, place in sorted(places.items()):
        entries += tar.below(place, tar.package({f"{name}_{version}.vcf.gz": f"{name} {version}"}, version))
    path.write_bytes(tar.data_archive(sorted(places), sources, entries))
    return path


def unpack(data: Path, src: Path, strategy: str = AUTO) -> data_unpack.Outcome:
    return data_unpack.apply(request(data, src, strategy))[2]


def request(data: Path, src: Path, strategy: str = AUTO) -> Request:
    return Request(str(src), str(data), Ownership(0o664), strategy=strategy)


def make(top: Path) -> tuple[Path, Path]:
    """A data folder with ``OLD`` deployed, and an archive with ``NEW``."""
    data = top / "data"
    data.mkdir(parents=True)
    unpack(data, archive(top / "1.tar", OLD, "1"))
    with (data / "vcfanno_config.toml").open("a") as stream:
        for file in ("local/mine.bed.gz", "variantDBs/clinvar/extra.bed.gz"):
            stream.write(f'\n[[annotation]]\nfile = "{file}"\ncolumns = [4]\nnames = ["X"]\nops = ["first"]\n')
    return data, archive(top / "2.tar", NEW, "2")


def tables(data: Path) -> list[str]:
    lines = (data / "vcfanno_config.toml").read_text().splitlines()
    return sorted(line.split('"')[1] for line in lines if line.startswith("file"))


def folders(data: Path) -> set[str]:
    return {str(path.parent.relative_to(data)) for path in data.rglob("DATA_READY")}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_former_folder_goes_and_comes_back(top: Path, strategy: str) -> None:
    data, new = make(top)
    old = contents(data)
    hgmd = snapshot(data / "variantDBs/hgmd")
    unpack(data, new, strategy)
    assert folders(data) == {*NEW.values(), OLD["hgmd"]}
    assert not (data / OLD["clinvar"]).exists() and not (data / OLD["seqrepo"]).exists()
    assert snapshot(data / "variantDBs/hgmd") == hgmd
    assert tables(data) == ["clinical/clinvar/clinvar_2.vcf.gz", "local/mine.bed.gz", "variantDBs/hgmd/hgmd_1.vcf.gz"]
    receipt = generation.read_receipt(str(data))
    assert receipt is not None
    assert {r["name"]: r["destination"] for r in receipt["packages"]} == {**OLD, **NEW}
    assert not data_unpack.check(request(data, new, strategy))[1].reasons
    moved = contents(data)
    for expected in (old, moved):
        data_rollback.apply(str(data), None, keep=True)
        assert contents(data) == expected


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_dry_run_says_it(top: Path, strategy: str) -> None:
    data, new = make(top)
    before = snapshot(top)
    wanted = request(data, new, strategy)
    situation, plan = data_unpack.check(wanted)
    told = data_unpack.result(wanted, situation, plan, None)
    assert snapshot(top) == before
    assert told["reasons"] == [
        "clinvar: 1 → 2",
        "seqrepo: 1 → 2",
        "clinvar: moves to clinical/clinvar, its former folder variantDBs/clinvar goes",
        "seqrepo: moves to seqrepo, its former folder old/seqrepo goes",
    ]
    assert told["moved"][1] == {
        "name": "seqrepo", "folder": "old/seqrepo", "destination": "seqrepo", "obstacle": None
    }  # fmt: skip
    packages = told["diff"][0]
    assert "clinvar in variantDBs/clinvar: 1\n" in packages["before"]
    assert "variantDBs/clinvar" not in packages["after"]
    assert told["notes"] == []
    situation, plan, outcome = data_unpack.apply(wanted)
    run = data_unpack.result(wanted, situation, plan, outcome)
    assert [run[key] for key in ("reasons", "moved", "diff")] == [told[key] for key in ("reasons", "moved", "diff")]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_killed_at_every_step(top: Path, strategy: str) -> None:
    data, archive_2 = make(top / "original")
    old = contents(data)
    unpack(data, archive_2)
    new = contents(data)
    data_rollback.apply(str(data), None, keep=True)
    shutil.rmtree(top / "original/.data.anno")
    assert contents(data) == old
    for number in itertools.count(1):
        site = top / str(number)
        shutil.copytree(top / "original", site, symlinks=True)
        wanted = request(site / "data", site / "2.tar", strategy)
        ended = run_and_kill(lambda: data_unpack.apply(wanted), number)  # noqa: B023
        if strategy == AUTO:
            assert without_receipt(contents(site / "data")) in (without_receipt(old), without_receipt(new))
        data_unpack.apply(wanted)
        assert without_receipt(contents(site / "data")) == without_receipt(new)
        data_rollback.apply(str(site / "data"), None, keep=True)
        assert contents(site / "data") == old
        shutil.rmtree(site)
        if ended:
            break
    assert number > 30


def without_receipt(found: dict[str, str]) -> dict[str, str]:
    return {name: content for name, content in found.items() if name != generation.RECEIPT}


def test_by_its_tables_where_there_is_no_receipt(top: Path) -> None:
    data, new = make(top)
    (data / generation.RECEIPT).unlink()
    unpack(data, new)
    assert folders(data) == {*NEW.values(), OLD["hgmd"], OLD["seqrepo"]}, "nothing tells whose old/seqrepo is"


def test_of_packages_that_change_places_both_are_there(top: Path) -> None:
    data, _ = make(top)
    places = {"clinvar": OLD["hgmd"], "hgmd": OLD["clinvar"]}
    new = archive(top / "3.tar", places, "3")
    assert data_unpack.check(request(data, new))[1].former == ()
    unpack(data, new)
    assert folders(data) == {*OLD.values()}
    assert (data / "variantDBs/hgmd/clinvar_3.vcf.gz").is_file()


def test_what_was_staged_before_the_folder_was_known_to_go(top: Path) -> None:
    """An obstacle that was there when the next generation was made ready, and is not any more."""
    data, new = make(top)
    inner = data / OLD["clinvar"] / "inner"
    inner.mkdir()
    (inner / "DATA_READY").write_text("version: 1\n")
    assert not data_unpack.apply(request(data, new)._replace(activate=False))[2].reused
    assert (top / ".data.anno/next" / OLD["clinvar"]).is_dir()
    shutil.rmtree(inner)
    assert unpack(data, new).reused
    assert OLD["clinvar"] not in folders(data)


def other_table(data: Path) -> None:
    sources = json.loads((data / "sources.json").read_text())
    (data / "variantDBs/clinvar/b.bed.gz").write_text("b")
    sources["b"] = tar.source("1", "variantDBs/clinvar/b.bed.gz")
    (data / "sources.json").write_text(json.dumps(sources))


def inner_package(data: Path) -> None:
    (data / "variantDBs/clinvar/x/y").mkdir(parents=True)
    (data / "variantDBs/clinvar/x/y/DATA_READY").write_text("version: 1\n")


def outer_package(data: Path) -> None:
    (data / "variantDBs/DATA_READY").write_text("version: 1\n")


def linked(data: Path) -> None:
    (data / "variantDBs").rename(data.parent / "elsewhere")
    (data / "variantDBs").symlink_to(data.parent / "elsewhere")


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (other_table, "variantDBs/clinvar/b.bed.gz of another package lies there"),
        (inner_package, "variantDBs/clinvar/x/y is another package's folder"),
        (outer_package, "it lies in variantDBs, which is a package's folder itself"),
        (linked, "variantDBs is a symbolic link"),
    ],
)
def test_what_may_be_another_packages_is_kept_and_told(top: Path, change: Any, why: str, strategy: str) -> None:
    data, new = make(top)
    change(data)
    before = snapshot(data / "variantDBs/clinvar")
    wanted = request(data, new, strategy)
    situation, plan, outcome = data_unpack.apply(wanted)
    assert snapshot(data / "variantDBs/clinvar") == before
    (note,) = [note for note in data_unpack.result(wanted, situation, plan, outcome)["notes"] if "moves to" in note]
    assert note.startswith(f"clinvar moves to clinical/clinvar; its former folder variantDBs/clinvar is kept: {why}.")
    assert not any("clinvar: moves" in reason for reason in plan.reasons)


def test_one_without_tables_that_was_replaced_by_hand_is_kept(top: Path) -> None:
    data, new = make(top)
    (data / OLD["seqrepo"] / "DATA_READY").write_text("version: other\n")
    plan = data_unpack.check(request(data, new))[1]
    assert former_folder.gone(plan.former) == [OLD["clinvar"]]
    assert "it is not as it was deployed" in former_folder.notes(plan.former)[0]
    unpack(data, new)
    assert OLD["seqrepo"] in folders(data)


@pytest.mark.parametrize("file", ["../outside/c.vcf.gz", "/outside/c.vcf.gz", "c.vcf.gz", "nowhere/c.vcf.gz"])
def test_tables_that_lead_nowhere(top: Path, file: str) -> None:
    data, new = make(top)
    (data / generation.RECEIPT).unlink()
    (top / "outside").mkdir()
    (top / "outside/DATA_READY").touch()
    sources = json.loads((data / "sources.json").read_text())
    sources["clinvar"]["vcfanno"][0]["file"] = file
    (data / "sources.json").write_text(json.dumps(sources))
    assert data_unpack.check(request(data, new))[1].former == ()
