"""The first deployments into a data folder that hands, scripts and other users have made, by the modules."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support_data import ARCHIVE, CLINVAR, HGMD, Site, below, copy_site
from support_tree import contents, snapshot
from support_user import as_nobody, world_folder

Run = Callable[..., Any]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs files of two users")


@pytest.fixture
def unpack(run_module: Run) -> Run:
    """The dry run first: it writes nothing and tells the same."""

    def run(site: Site, **args: Any) -> Any:
        given = {"src": str(site.archive), "data": str(site.data), **args}
        before = snapshot(site.top)
        told = run_module("data_unpack", given, check=True)
        assert snapshot(site.top) == before
        done = run_module("data_unpack", given)
        assert not done.failed, done
        for key in ("changed", "packages", "unowned", "unowned_count", "unready", "notes"):
            assert told[key] == done[key], key
        return done

    return run


def leave(data: Path, *paths: str) -> None:
    for path in paths:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        (data / path).write_text("left\n")


def test_what_belongs_to_no_package_is_kept_and_told(site: Site, unpack: Run) -> None:
    left = (".tmp/clinvar/DATA_READY", "unpack.log", "variantDBs/clinvar_old/x.vcf.gz", "seqrepo.bak/deep/er/x")
    leave(site.data, *left)
    (site.data / HGMD / "DATA_READY").unlink()
    before = {path: (site.data / path).stat().st_ino for path in left}
    result = unpack(site)
    assert result["strategy"] == "exchange"
    expected = [".tmp", "local", "notes.txt", "seqrepo.bak", "unpack.log", "variantDBs/clinvar_old"]
    assert (result["unowned"], result["unowned_count"], result["unready"]) == (expected, 6, [HGMD])
    assert "ella-anno's own script" in result["notes"][1]
    assert HGMD in result["notes"][2]
    assert {path: (site.data / path).stat().st_ino for path in left} == before
    again = unpack(site)
    assert (again["changed"], again["unowned"]) == (False, expected)


def test_the_paths_are_bounded(site: Site, unpack: Run) -> None:
    leave(site.data, *(f"log.{number:03d}" for number in range(60)))
    result = unpack(site)
    assert (len(result["unowned"]), result["unowned_count"]) == (50, 62)
    assert "and 57 more" in result["notes"][0]


def test_a_link_to_the_folder_stays_one(site: Site, unpack: Run, run_module: Run) -> None:
    real = site.top / "elsewhere" / "real"
    real.parent.mkdir()
    site.data.rename(real)
    site.data.symlink_to(real)
    before = contents(real)
    assert unpack(site)["strategy"] == "exchange"
    assert os.readlink(site.data) == str(real)
    assert os.listdir(real.parent / ".real.anno") == ["generations"]
    assert unpack(site)["changed"] is False
    assert run_module("data_rollback", {"data": str(site.data)})["changed"]
    assert contents(real) == before


# As a service user that is not alone


@pytest.fixture
def own(original: Site) -> Iterator[Site]:
    """A site that is the user nobody's, where that user may reach it."""
    with world_folder() as top:
        site = copy_site(original, top / "site")
        subprocess.run(["chown", "-R", "nobody", site.top], check=True)
        yield site


def foreign_file(data: Path) -> Path:
    """Readable by all; the kernel refuses links to it (protected_hardlinks)."""
    leave(data, "foreign.log")
    (data / "foreign.log").chmod(0o444)
    return data / "foreign.log"


def closed_folder(data: Path) -> Path:
    leave(data, "closed/file")
    (data / "closed").chmod(0o700)
    return data / "closed"


def open_folder(data: Path) -> Path:
    leave(data, "open/below/file")
    (data / "open/below/file").chmod(0o644)
    return data / "open"


@AS_ROOT
@pytest.mark.parametrize("make", [foreign_file, closed_folder, open_folder])
def test_what_is_another_users(own: Site, unpack: Run, run_module: Run, make: Callable[[Path], Path]) -> None:
    if make is not closed_folder and Path("/proc/sys/fs/protected_hardlinks").read_text().strip() != "1":
        pytest.skip("this kernel allows links to files of other users")
    place = make(own.data)
    hgmd, of_foreign = below(own.data, HGMD), snapshot(own.data)[place.name]
    with as_nobody():
        result = unpack(own)
        assert result["strategy"] == "packages"
        why = f"hard links to what is live are not to be had (EPERM at {place}"
        if make is closed_folder:
            why = f"this user may not look into {place} (EACCES)"
        assert why in result["caveat"]
        assert place.name in result["unowned"]
        assert {package["name"] for package in result["packages"]} == set(ARCHIVE)
        assert unpack(own)["changed"] is False
        back = run_module("data_rollback", {"data": str(own.data)})
        assert (back["changed"], back["strategy"]) == (True, "packages")
        assert run_module("data_rollback", {"data": str(own.data)})["changed"]
        pruned = run_module("data_prune", {"data": str(own.data), "keep": 0})
        assert (len(pruned["removed"]), pruned["left"]) == (1, [])
        assert not (own.data.parent / ".data.anno").exists()
    assert snapshot(own.data)[place.name] == of_foreign
    assert f"{CLINVAR}/clinvar_20240107.vcf.gz" in below(own.data, CLINVAR)
    assert below(own.data, HGMD) == hgmd


@AS_ROOT
def test_what_is_read_only(own: Site, unpack: Run, run_module: Run) -> None:
    """The user's own folders without write permission, taken over twice, returned to and removed."""
    for place in (HGMD, "local", CLINVAR):
        (own.data / place).chmod(0o555)
    before = contents(own.data)
    with as_nobody():
        for packages in (["clinvar"], ["seqrepo"]):
            assert unpack(own, packages=packages)["strategy"] == "exchange"
        assert (own.data / HGMD).stat().st_mode & 0o777 == 0o555
        oldest = run_module("data_generation_info", {"data": str(own.data)})["generations"][-1]
        assert run_module("data_rollback", {"data": str(own.data), "to": oldest["id"]})["changed"]
        assert contents(own.data) == before
        pruned = run_module("data_prune", {"data": str(own.data), "keep": 0})
        assert (len(pruned["removed"]), pruned["left"]) == (2, [])
    assert contents(own.data) == before
    assert not (own.data.parent / ".data.anno").exists()
