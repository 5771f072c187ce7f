"""The module data_unpack: what it promises, and what it refuses without a trace."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import (
    data_switch,
    generation,
    lock,
    next_generation,
    unpack_plan,
    vcfanno_config,
)
from support_data import ARCHIVE, CLINVAR, FASTA, HGMD, SEQREPO, Site, below, copy_site, replace
from support_faults import no_room
from support_mount import NEEDS_MOUNT, UNSHARE
from support_tree import contents, snapshot
from support_user import NOBODY, as_nobody, world_folder

Run = Callable[..., Any]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user, or to mount")


@pytest.fixture
def unpack(site: Site, run_module: Run) -> Run:
    """Run the module on the site; ``check``, ``diff`` and its arguments by name. A dry run writes nothing, and tells
    what the run then returns."""

    def run(*, check: bool = False, diff: bool = False, dry: bool = True, **args: Any) -> Any:
        given = {"src": str(site.archive), "data": str(site.data), **args}
        if not dry:
            return run_module("data_unpack", given, check=check, diff=diff)
        before = snapshot(site.top)
        predicted = run_module("data_unpack", given, check=True, diff=diff)
        assert snapshot(site.top) == before, "a dry run writes nothing"
        if check:
            return predicted
        done = run_module("data_unpack", given, diff=diff)
        if not done.failed:
            for key in ("changed", "planned", "reasons", "packages", "files", "bytes", "diff", "previous", "removed"):
                assert predicted.get(key) == done.get(key), key
            assert predicted["strategy"] in (None, done["strategy"])
            assert (done["caveat"] is None) == (done["strategy"] in (None, "exchange"))
            assert done.warned == ([done["caveat"]] if done["caveat"] else [])
        return done

    return run


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def inodes(data: Path) -> dict[str, int]:
    return {name: os.lstat(data / name).st_ino for name in contents(data)}


def unchanged(site: Site, before: dict[str, Any], result: Any) -> None:
    """After a failure: a message in four parts, and the tree as it was."""
    assert result.failed
    for part in ("msg", "where", "found", "expected", "todo"):
        assert result[part], part
    assert "Traceback" not in json.dumps(result)
    assert snapshot(site.data.parent) == before
    assert not (site.data.parent / ".data.anno").exists()


# The promises


def test_packages_are_replaced_and_all_else_stays(site: Site, unpack: Run, original: Site) -> None:
    before, numbers = contents(site.data), inodes(site.data)
    result = unpack(sha256=sha256(site.archive))
    assert result["changed"] and not result.failed
    assert result["strategy"] == "exchange"
    assert result["packages"] == [
        {"name": "clinvar", "destination": CLINVAR, "before": "20230504", "after": "20240107"},
        {"name": "fasta", "destination": FASTA, "before": None, "after": "37"},
        {"name": "seqrepo", "destination": SEQREPO, "before": "2018-08-21", "after": "2021-01-29"},
    ]
    assert result["reasons"] == [
        "clinvar: 20230504 → 20240107", "fasta: new → 37", "seqrepo: 2018-08-21 → 2021-01-29"
    ]  # fmt: skip
    found = contents(site.data)
    assert not [name for name in found if "20230504" in name or "2018" in name], "files of the old version are gone"
    for folder in (CLINVAR, FASTA, SEQREPO):
        subprocess.run(["md5sum", "--check", "--quiet", "MD5SUM"], cwd=site.data / folder, check=True)
    assert os.readlink(site.data / SEQREPO / "latest") == "2021-01-29"
    ours = (CLINVAR, FASTA, SEQREPO, "sources.json", "vcfanno_config.toml")
    others = {name: content for name, content in before.items() if not name.startswith(ours)}
    assert {name for name in others if name.startswith(HGMD)} and "notes.txt" in others
    assert {name: content for name, content in found.items() if not name.startswith(ours)} == others
    now = inodes(site.data)
    assert {name: now[name] for name in others} == {name: numbers[name] for name in others}, "hard links"
    unpacked = [place for folder in (CLINVAR, FASTA, SEQREPO) for place in (site.data / folder).rglob("*")]
    assert result["files"] == len([place for place in unpacked if place.is_file() and not place.is_symlink()
                                   and "latest" not in place.parts])  # fmt: skip
    assert contents(generation.open_store(str(site.data)).generations + "/" + kept(site)[0]) == before
    assert contents(original.data) == before, "what was linked was not written to"


def kept(site: Site) -> list[str]:
    folder = site.data.parent / ".data.anno" / "generations"
    return sorted(os.listdir(folder), reverse=True) if folder.exists() else []


def test_modes_times_and_what_is_left(site: Site, unpack: Run) -> None:
    os.utime(site.data / "variantDBs", (1_600_000_000, 1_600_000_000))
    (site.data / "variantDBs").chmod(0o2775)
    umask = os.umask(0o077)
    try:
        unpack(mode="0664")
    finally:
        os.umask(umask)
    found = snapshot(site.data)
    assert found[f"{CLINVAR}/clinvar_20240107.vcf.gz"].mode == found["sources.json"].mode == 0o664
    assert found["vcfanno_config.toml"].mode == found[generation.RECEIPT].mode == 0o664
    assert found[CLINVAR].mode == found[f"{SEQREPO}/2021-01-29"].mode == 0o775
    assert found["variantDBs"][1:3] == (0o2775, 1_600_000_000 * 10**9), "the folder above is as it was"
    assert os.listdir(site.data.parent / ".data.anno") == ["generations"]


def test_sources_json_gets_the_packages_and_keeps_the_rest(site: Site, unpack: Run) -> None:
    unpack()
    text = (site.data / "sources.json").read_text()
    assert '"version": 1.10,' in text
    found = json.loads(text)
    versions = {name: entry["version"] for name, entry in found.items()}
    assert versions == {"clinvar": "20240107", "hgmd": "2023.1", "seqrepo": "2021-01-29", "vep": 1.1, "fasta": "37"}
    assert found["clinvar"]["vcfanno"][0]["file"].endswith("20240107.vcf.gz")


def test_the_config_follows_and_keeps_the_rest(site: Site, unpack: Run) -> None:
    before = (site.data / "vcfanno_config.toml").read_text()
    unpack()
    after = (site.data / "vcfanno_config.toml").read_text()
    assert after == before.replace("clinvar_20230504", "clinvar_20240107")
    for part in ("# local regions: ask", "[[postannotation]]", "# this comment", "hgmd_2023.1"):
        assert part in after


def test_a_second_run_has_nothing_to_do_and_reads_no_archive(
    site: Site, unpack: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = unpack()
    before = snapshot(site.top)

    def read(*_: Any) -> None:
        raise AssertionError("the archive was read")

    monkeypatch.setattr(unpack_plan, "inspect_archive", read)
    second = unpack()
    assert (second["changed"], second["planned"], second["reasons"], second["diff"]) == (False, False, [], [])
    assert second["generation"] == first["generation"]
    assert [package["before"] for package in second["packages"]] == ["20240107", "37", "2021-01-29"]
    assert snapshot(site.top) == before


def test_in_place_by_its_sha256_even_when_the_archive_is_gone(site: Site, unpack: Run) -> None:
    digest = sha256(site.archive)
    unpack(sha256=digest)
    site.archive.unlink()
    assert unpack(sha256=digest)["changed"] is False
    before = snapshot(site.top)
    gone = unpack()
    assert gone.failed and "no such file" in gone["found"]
    assert snapshot(site.top) == before


def test_a_subset_and_then_the_rest(site: Site, unpack: Run) -> None:
    before = contents(site.data)
    result = unpack(packages=["clinvar"])
    assert [package["name"] for package in result["packages"]] == ["clinvar"]
    assert below(site.data, SEQREPO) == {n: c for n, c in before.items() if n.startswith(SEQREPO)}
    sources = json.loads((site.data / "sources.json").read_text())
    assert (sources["clinvar"]["version"], sources["seqrepo"]["version"]) == ("20240107", "2018-08-21")
    assert unpack(packages=["clinvar"])["changed"] is False
    assert {package["name"] for package in unpack()["packages"]} == set(ARCHIVE)
    assert unpack()["changed"] is False
    assert unpack(packages=["seqrepo"])["changed"] is False


def test_a_data_folder_that_is_empty(site: Site, unpack: Run) -> None:
    shutil.rmtree(site.data)
    site.data.mkdir()
    result = unpack()
    assert [package["before"] for package in result["packages"]] == [None, None, None]
    assert set(json.loads((site.data / "sources.json").read_text())) == set(ARCHIVE)
    assert "clinvar_20240107" in (site.data / "vcfanno_config.toml").read_text()
    assert unpack()["changed"] is False


def test_the_diff_shows_versions_and_both_lists(unpack: Run) -> None:
    parts = {part["before_header"]: part for part in unpack(diff=True)["diff"]}
    assert set(parts) == {"packages (live)", "sources.json (live)", "vcfanno_config.toml (live)"}
    assert "clinvar: 20230504\n" in parts["packages (live)"]["before"]
    assert "fasta: 37\n" in parts["packages (live)"]["after"]
    assert "1.10" in parts["sources.json (live)"]["after"]


# What others did meanwhile


def test_a_config_edited_by_hand_is_brought_back(site: Site, unpack: Run) -> None:
    unpack()
    config = site.data / "vcfanno_config.toml"
    right = config.read_text()
    replace(config, "clinvar_20240107.vcf.gz", "clinvar_other.vcf.gz")
    replace(config, "# this comment", "# this other comment")
    result = unpack()
    assert result["reasons"] == ["vcfanno_config.toml does not have the tables of the deployed packages"]
    assert [part["before_header"] for part in result["diff"]] == ["vcfanno_config.toml (live)"]
    assert config.read_text() == right.replace("# this comment", "# this other comment")
    assert unpack()["changed"] is False


@pytest.mark.parametrize("change", ["ready", "gone", "sources"])
def test_a_package_replaced_by_hand_is_noticed(site: Site, unpack: Run, change: str) -> None:
    unpack()
    if change == "ready":
        (site.data / CLINVAR / "DATA_READY").write_text("version: '20230504'\n")
    elif change == "gone":
        shutil.rmtree(site.data / CLINVAR)
    else:
        replace(site.data / "sources.json", '"20240107"', '"20230504"')
    result = unpack()
    assert result["changed"] and "clinvar" in {package["name"] for package in result["packages"]}
    assert (site.data / CLINVAR / "clinvar_20240107.vcf.gz").exists()
    assert unpack()["changed"] is False


def test_the_same_bytes_in_a_new_file_are_known_by_their_sha256(site: Site, unpack: Run) -> None:
    unpack()
    os.utime(site.archive, (1, 1))
    assert unpack(sha256=sha256(site.archive))["changed"] is False


# Ready first, switched later


def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: Any) -> None:
        raise AssertionError("the archive's data were read again")

    monkeypatch.setattr(next_generation, "extract", read)


def test_made_ready_and_then_switched_to(site: Site, unpack: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot(site.data)
    digest = sha256(site.archive)
    staged = unpack(activate=False, sha256=digest)
    assert staged["changed"] and staged["previous"] is None and staged["strategy"] is None
    assert snapshot(site.data) == before
    no_reading(monkeypatch)
    again = unpack(activate=False, sha256=digest)
    assert again["reused"] and again["generation"] == staged["generation"]
    result = unpack(sha256=digest)
    assert (result["reused"], result["generation"]) == (True, staged["generation"])
    assert "20240107" in (site.data / "sources.json").read_text()
    assert os.listdir(site.data.parent / ".data.anno") == ["generations"]
    assert unpack()["changed"] is False


def test_what_became_of_the_live_data_meanwhile_is_taken_over(
    site: Site, unpack: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack(activate=False)
    (site.data / "new at the top").write_text("x")
    (site.data / HGMD / "sub").mkdir()
    (site.data / HGMD / "sub" / "new below").write_text("x")
    (site.data / "notes.txt").unlink()
    (site.data / "notes.txt").mkdir()
    shutil.rmtree(site.data / "VEP")
    replace(site.data / "sources.json", '"2023.1"', '"2023.2"')
    replace(site.data / "vcfanno_config.toml", "# this comment", "# changed meanwhile")
    no_reading(monkeypatch)
    assert unpack()["reused"]
    assert (site.data / "new at the top").exists() and (site.data / HGMD / "sub" / "new below").exists()
    assert (site.data / "notes.txt").is_dir()
    assert not (site.data / "VEP").exists()
    assert '"2023.2"' in (site.data / "sources.json").read_text()
    assert "# changed meanwhile" in (site.data / "vcfanno_config.toml").read_text()
    assert (site.data / CLINVAR / "clinvar_20240107.vcf.gz").exists()


@pytest.mark.parametrize("change", ["mode", "sha256", "archive", "packages", "receipt"])
def test_what_is_ready_is_not_what_is_wanted(site: Site, unpack: Run, change: str) -> None:
    unpack(activate=False, packages=["clinvar"] if change == "packages" else None)
    following = site.data.parent / ".data.anno" / "next"
    (following / "stale").write_text("x")
    args: dict[str, Any] = {"mode": "0660"} if change == "mode" else {}
    if change == "sha256":
        args = {"sha256": "0" * 64}
    elif change == "archive":
        os.utime(site.archive, (5, 5))
    elif change == "receipt":
        (following / generation.RECEIPT).unlink()
    result = unpack(**args)
    if change == "sha256":
        assert result.failed and "its sha256 is" in result["found"]
        assert not following.exists()
    else:
        assert result["changed"] and not result["reused"]
        assert not (site.data / "stale").exists()


def test_room_is_not_asked_for_twice(site: Site, unpack: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment makes ready what needs the room, and is switched when the room is gone."""
    unpack(activate=False)
    no_room(monkeypatch)
    assert unpack()["reused"]


def test_what_a_killed_run_left_is_no_lost_room(site: Site, unpack: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    following = site.data.parent / ".data.anno" / "next"
    following.mkdir(parents=True)
    (following / "half").write_bytes(b"x" * (2 << 20))
    no_room(monkeypatch)
    assert not unpack().failed


# Ways to switch


@pytest.mark.parametrize("strategy", ["renames", "packages"])
def test_other_strategies(site: Site, unpack: Run, strategy: str, run_module: Run) -> None:
    before = contents(site.data)
    told = unpack(strategy=strategy, check=True)
    text = {"renames": "data/ is absent for an instant (between two renames)",
            "packages": "Readers can see packages of both releases during the switch"}[strategy]  # fmt: skip
    assert (told["strategy"], told["caveat"]) == (strategy, f"{text}: it was asked for (strategy: {strategy}).")
    assert told.warned == []
    result = unpack(strategy=strategy)
    assert result["strategy"] == strategy
    after = contents(site.data)
    assert "20240107" in (site.data / "sources.json").read_text()
    assert after["notes.txt"] == before["notes.txt"]
    assert not [name for name in after if "20230504" in name]
    assert unpack()["changed"] is False
    assert os.listdir(site.data.parent / ".data.anno") == ["generations"]
    back = run_module("data_rollback", {"data": str(site.data)})
    assert (back["changed"], back["strategy"] == "packages") == (True, strategy == "packages")
    assert contents(site.data) == before


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EMLINK])
def test_without_hard_links_it_goes_by_packages(
    site: Site, unpack: Run, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    link, calls = os.link, []

    def some(*args: Any, **options: Any) -> None:
        calls.append(args)
        if len(calls) > 3:
            raise OSError(number, os.strerror(number), args[0])
        link(*args, **options)

    monkeypatch.setattr(os, "link", some)
    staged = unpack(activate=False)
    assert staged["changed"]
    assert set(os.listdir(site.data.parent / ".data.anno/next")) == {
        "variantDBs", "FASTA", "seqrepo", "sources.json", "vcfanno_config.toml", generation.RECEIPT, generation.PARTIAL
    }  # fmt: skip
    assert unpack(check=True)["strategy"] == "packages", "known from the one that was made ready"
    result = unpack()
    assert (result["strategy"], result["reused"]) == ("packages", True)
    assert f"hard links to what is live are not to be had ({errno.errorcode[number]} at {site.data}" in result["caveat"]
    assert ("neither owns nor may write" in result["caveat"]) is (number == errno.EPERM)
    assert (site.data / "notes.txt").exists()
    assert not (site.data / generation.PARTIAL).exists()
    assert unpack()["changed"] is False


@NEEDS_MOUNT
def test_a_mount_point_is_switched_by_packages(site: Site) -> None:
    """The data folder can be neither exchanged nor renamed there, and its state lies inside of it."""
    real = site.top / "real"
    site.data.rename(real)
    site.data.mkdir()
    before = contents(real)
    script = (
        "import json, sys, os\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils import data_unpack, data_rollback, unpack_plan\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership\n"
        "request = unpack_plan.Request(sys.argv[1], sys.argv[2], Ownership(0o774))\n"
        "told = data_unpack.result(request, *data_unpack.check(request), None)\n"
        "results = [told, *(data_unpack.result(request, *data_unpack.apply(request)) for _ in range(2))]\n"
        "if sys.argv[3] == 'back': data_rollback.apply(sys.argv[2], None, True)\n"
        "print(json.dumps([(r['changed'], r['strategy'], r['caveat'] or '', r['unowned']) for r in results]))\n"
    )
    for way in ("there", "back"):
        run = subprocess.run(
            [*UNSHARE, "sh", "-c", 'mount --bind "$1" "$2" && shift 2 && exec "$@"', "sh", real, site.data,
             sys.executable, "-c", script, site.archive, site.data, way],
            capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        told, first, second = json.loads(run.stdout)
        expected = [True, "packages"] if way == "there" else [False, None]
        assert (told[:2], first[:2], second[:2]) == (expected, expected, [False, None])
        assert told[3] == first[3] == second[3] == ["local", "notes.txt"], "the state folder is none of these"
        if way == "there":
            why = f"{site.data} is a mount point, which can be neither exchanged nor renamed."
            assert told[2] == f"Readers can see packages of both releases during the switch: {why}"
            assert first[2].startswith("Readers could") and first[2].endswith(why)
    assert {name: c for name, c in contents(real).items() if not name.startswith(".anno/")} == before
    assert os.listdir(real / ".anno") == ["generations"]


@NEEDS_MOUNT
def test_an_exchange_would_take_along_what_is_mounted_below(site: Site) -> None:
    """An empty file system has no file that could not be linked."""
    (site.data / "volume").mkdir()
    script = (
        "import json, os, sys\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils import data_unpack, unpack_plan\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership\n"
        "request = unpack_plan.Request(sys.argv[1], sys.argv[2], Ownership(0o774))\n"
        "foreseen = data_unpack.result(request, *data_unpack.check(request), None)\n"
        "result = data_unpack.result(request, *data_unpack.apply(request))\n"
        "mounted = os.path.ismount(sys.argv[2] + '/volume')\n"
        "print(json.dumps([foreseen['strategy'], result['strategy'], result['caveat'], mounted]))\n"
    )
    run = subprocess.run(
        [*UNSHARE, "sh", "-c", 'mount -t tmpfs none "$2/volume" && exec "$3" -c "$4" "$1" "$2"', "sh", site.archive,
         site.data, sys.executable, script],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    foreseen, strategy, caveat, mounted = json.loads(run.stdout)
    assert (foreseen, strategy, mounted) == ("packages", "packages", True)
    assert f"{site.data}/volume is a mount point, which an exchange would take along" in caveat


def test_generations_are_kept_and_go(site: Site, unpack: Run) -> None:
    unpack(packages=["clinvar"])
    unpack(packages=["seqrepo"])
    result = unpack(keep_generations=1)
    assert len(result["removed"]) == 2 and len(kept(site)) == 1
    surplus = unpack(keep_generations=0, activate=False)
    assert surplus["planned"] is False
    last = unpack(keep_generations=0)
    assert last["planned"] and last["reasons"] == [f"generation {last['removed'][0]}: kept → removed"]
    assert kept(site) == []
    assert unpack(keep_generations=0)["changed"] is False
    assert not (site.data.parent / ".data.anno").exists()


def test_after_a_rollback_and_a_deployment_the_bad_release_goes(site: Site, unpack: Run, run_module: Run) -> None:
    unpack(packages=["clinvar"])
    good = unpack(packages=["seqrepo"])["generation"]
    bad = unpack(keep_generations=-1)["generation"]
    assert run_module("data_rollback", {"data": str(site.data)})["generation"] == good
    assert bad in run_module("data_prune", {"data": str(site.data), "keep": 1}, check=True)["kept"], "the way back"
    result = unpack(keep_generations=2)
    assert bad in result["removed"]
    assert len(kept(site)) == 2 and kept(site)[0].endswith(good)
    assert run_module("data_rollback", {"data": str(site.data)})["generation"] == good


def test_all_generations_are_kept_when_told_so(site: Site, unpack: Run) -> None:
    for name in (["clinvar"], ["seqrepo"], None, None):
        unpack(packages=name, keep_generations=-1)
    assert len(kept(site)) == 3


def test_an_old_generation_that_cannot_be_removed_does_not_undo_success(
    site: Site, unpack: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(store: Any, keep: int) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), store.generations)

    monkeypatch.setattr(data_switch, "prune", refuse)
    assert not unpack(keep_generations=0, dry=False).failed
    result = unpack(keep_generations=0, dry=False)
    assert result.failed and "EACCES" in result["found"]


def test_progress_is_written_where_it_is_told(site: Site, unpack: Run, tmp_path: Path) -> None:
    unpack(progress=str(tmp_path / "progress"), check=True)
    assert not (tmp_path / "progress").exists()
    unpack(progress=str(tmp_path / "progress"))
    assert json.loads((tmp_path / "progress").read_text())["work"] == "unpack"


# What is refused, and leaves everything as it was


@pytest.fixture
def fails(site: Site, unpack: Run) -> Iterator[Callable[..., None]]:
    def run(found: str, **args: Any) -> None:
        before = snapshot(site.data.parent)
        result = unpack(**args)
        assert re.search(found, result["msg"]), result["msg"]
        unchanged(site, before, result)

    yield run


def test_a_wrong_sha256(site: Site, fails: Run) -> None:
    fails(f"archive.tar: its sha256 is {sha256(site.archive)}. Expected: {'0' * 64}", sha256="0" * 64)


def flip(path: Path, needle: bytes, by: bytes) -> None:
    content = path.read_bytes()
    at = content.rindex(needle)
    path.write_bytes(content[:at] + by + content[at + len(by) :])


def test_a_damaged_member(site: Site, fails: Run) -> None:
    flip(site.archive, b"ClinVar 20240107\n", b"Clinvar")
    fails("archive.tar:variantDBs/clinvar/README.md: its MD5 is ")


def test_a_truncated_archive(site: Site, fails: Run) -> None:
    os.truncate(site.archive, site.archive.stat().st_size - 10240)
    fails("archive.tar: it (ends after|is cut off)")


def test_an_archive_without_packages(site: Site, fails: Run) -> None:
    subprocess.run(["tar", "--delete", "-f", site.archive, "PACKAGES"], check=True)
    fails("no member PACKAGES")


def test_an_archive_without_a_package_that_it_lists(site: Site, fails: Run) -> None:
    subprocess.run(["tar", "--delete", "-f", site.archive, FASTA], check=True)
    fails("PACKAGES lists 3 packages .*and 2 folders")


@pytest.mark.parametrize("name", ["archive", "instance"])
def test_sources_that_are_no_json(site: Site, fails: Run, name: str) -> None:
    if name == "archive":
        flip(site.archive, b'"fasta": {', b'"fasta"; {')
        fails(r"archive.tar:sources.json: it is not JSON: .* at line \d+, column \d+")
    else:
        (site.data / "sources.json").write_text('{"clinvar":\n')
        fails(r"data/sources.json: it is not JSON: .* at line 2, column 1")


def test_a_config_that_is_no_toml(site: Site, fails: Run) -> None:
    (site.data / "vcfanno_config.toml").write_text("[[annotation]]\nfile = \n")
    fails("data/vcfanno_config.toml: it is not TOML: .*line 2")


def test_lists_that_are_no_text(site: Site, fails: Run) -> None:
    (site.data / "sources.json").write_bytes(b"{\xff")
    fails(r"data/sources.json: it is not UTF-8 \(byte 1\)")


def test_what_is_ready_cannot_be_read(site: Site, unpack: Run, run_module: Run) -> None:
    """By a version of another time, or with an editor: it counts as not ready, or is told."""
    unpack()
    following = site.data.parent / ".data.anno/next"
    following.mkdir()
    (following / ".anno-receipt.json").write_text('{"generation": "x"}')
    (site.data / CLINVAR / "DATA_READY").write_text("version: by hand\n")
    assert unpack(dry=False, check=True)["planned"]
    unpack()
    (site.data / "vcfanno_config.toml").write_text("")
    following.mkdir()
    (following / ".anno-receipt.json").write_text('{"generation": "x"}')
    (following / ".anno-partial.json").write_text("{")
    result = run_module("data_unpack", {"src": str(site.archive), "data": str(site.data)}, check=True)
    assert result.failed and "partial generation" in result["found"]


def test_without_tomlkit(site: Site, fails: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcfanno_config, "HAS_TOMLKIT", False)
    fails("tomlkit.*is not there")


def test_a_missing_archive(site: Site, fails: Run) -> None:
    fails("gone.tar: there is no such file", src=str(site.top / "gone.tar"))


def test_a_package_that_is_not_in_the_archive(fails: Run) -> None:
    fails("hgmd is not in the archive. Expected: some of clinvar, fasta, seqrepo", packages=["hgmd"])


def test_a_mode_or_an_owner_that_is_none(fails: Run) -> None:
    fails("mode: is 'rwx'", mode="rwx")
    fails("no-such-user", owner="no-such-user")


def test_a_missing_data_folder(site: Site, unpack: Run) -> None:
    result = unpack(data=str(site.top / "gone"))
    assert result.failed and "there is no such folder" in result["found"]
    assert not (site.top / "gone").exists() and not (site.top / ".gone.anno").exists()


def test_a_disk_that_is_too_small(fails: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    no_room(monkeypatch)
    fails("data: 0 B are free on its file system. Expected: [0-9.]+ kB")


def test_a_link_in_the_place_of_a_package(site: Site, fails: Run) -> None:
    shutil.move(site.data / CLINVAR, site.top / "elsewhere")
    (site.data / CLINVAR).symlink_to(site.top / "elsewhere")
    fails("clinvar: it is a symbolic link")


def test_a_file_in_the_way_of_a_package(site: Site, fails: Run) -> None:
    (site.data / FASTA).write_text("x")
    fails("FASTA: it is a file")


@pytest.mark.parametrize("place", ["variantDBs", f"{CLINVAR}/old"])
def test_a_package_in_or_around_another(site: Site, fails: Run, place: str) -> None:
    (site.data / place).mkdir(exist_ok=True)
    (site.data / place / "DATA_READY").write_text("version: 1\n")
    fails("another package's folder, old, lies inside|it is a package's folder itself")


def test_a_table_that_names_a_file_the_archive_has_not(site: Site, fails: Run) -> None:
    flip(site.archive, b"clinvar_20240107.vcf.gz\",", b"clinvar_20240108.vcf.gz\",")
    fails("vcfanno list of clinvar names .*clinvar_20240108.vcf.gz, which is not in the archive")


def test_annotation_tables_of_a_folder_that_cannot_be_told(site: Site, fails: Run) -> None:
    """Its tables would stay those of the old files, which are gone then."""
    files = {"x.vcf.gz": b"x"}
    entries = [*tar.below("aaa/one", tar.package(files)), *tar.below("bbb/two", tar.package(files))]
    both = tar.source("1", "aaa/one/x.vcf.gz", "bbb/two/x.vcf.gz")
    site.archive.write_bytes(tar.data_archive(["p", "q"], {"p": both, "q": tar.source("1")}, entries))
    fails("which folder is p cannot be told, and it has annotation tables")


@NEEDS_MOUNT
def test_a_disk_that_is_really_full(site: Site) -> None:
    """The plan asks before; here somebody else takes the room while the archive is unpacked."""
    script = (
        "import os, shutil, sys, json\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils import data_place, data_unpack, unpack_plan\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils.errors import failure\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils.files import Ownership\n"
        "from support_tree import snapshot\n"
        "small, archive, live = sys.argv[1:]\n"
        "data = shutil.copytree(live, small + '/data', symlinks=True)\n"
        "before = snapshot(small)\n"
        "data_place.check_space = lambda *_: None\n"
        "try:\n"
        "    data_unpack.apply(unpack_plan.Request(archive, data, Ownership(0o774)))\n"
        "except OSError as error:\n"
        "    found = failure(error)\n"
        "print(json.dumps([snapshot(small) == before, os.listdir(small), found['found'], found['where']]))\n"
    )
    room = sum(path.stat().st_size + 8192 for path in site.data.rglob("*"))
    small = site.top / "small"
    small.mkdir()
    with site.archive.open("wb") as stream:
        big = tar.package({"big": os.urandom(2 * room)})
        stream.write(tar.data_archive(["p"], {"p": tar.source()}, tar.below("p", big)))
    run = subprocess.run(
        [*UNSHARE, "sh", "-c", f'mount -t tmpfs -o size={2 * room} none "$1" && shift && exec "$@"', "sh", small,
         sys.executable, "-c", script, small, site.archive, site.data],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    same, names, found, path = json.loads(run.stdout)
    assert (same, names) == (True, ["data"])
    assert "ENOSPC" in found and path == str(small / ".data.anno/next/p/big")


@AS_ROOT
@pytest.mark.parametrize("place", ["instance", "instance/data", "instance/data/variantDBs/clinvar"])
def test_a_folder_that_the_user_may_not_write(original: Site, place: str, run_module: Run) -> None:
    """As root every folder is writable: the check runs as another user."""
    top = Path("/tmp", f"anno-test-{os.getpid()}")
    site = copy_site(original, top)
    try:
        subprocess.run(["chown", "-R", "65534", site.top], check=True)
        (site.top / place).chmod(0o555)
        before = snapshot(site.data.parent)
        for check in (True, False):
            os.seteuid(65534)
            try:
                args = {"src": str(site.archive), "data": str(site.data), "strategy": "packages"}
                result = run_module("data_unpack", args, check=check)
            finally:
                os.seteuid(0)
            assert result.failed
            assert result["where"].startswith(str(site.data.parent))
            assert "may not" in result["found"] or "EACCES" in result["found"]
            assert snapshot(site.data.parent) == before
            assert not (site.data.parent / ".data.anno").exists()
    finally:
        shutil.rmtree(top)


@AS_ROOT
def test_an_archive_that_the_user_may_not_read(original: Site, run_module: Run) -> None:
    top = Path("/tmp", f"anno-test-{os.getpid()}")
    site = copy_site(original, top)
    try:
        site.archive.chmod(0o000)
        site.top.chmod(0o755)
        subprocess.run(["chown", "-R", "65534", site.data.parent], check=True)
        before = snapshot(site.data.parent)
        os.seteuid(65534)
        try:
            result = run_module("data_unpack", {"src": str(site.archive), "data": str(site.data)})
        finally:
            os.seteuid(0)
        unchanged(site, before, result)
        assert result["where"] == str(site.archive) and "EACCES" in result["found"]
    finally:
        shutil.rmtree(top)


@AS_ROOT
@pytest.mark.parametrize(("kind", "name"), [("owner", "root"), ("group", "root")])
def test_an_owner_that_this_user_may_not_set(original: Site, run_module: Run, kind: str, name: str) -> None:
    """A dry run says it in the words of the run."""
    with world_folder() as top:
        site = copy_site(original, top / "site")
        subprocess.run(["chown", "-R", str(NOBODY), site.top], check=True)
        before = snapshot(site.data.parent)
        texts = set()
        for check in (True, False):
            groups = os.getgroups()
            os.setgroups([])
            os.setegid(NOBODY)
            try:
                with as_nobody():
                    args = {"src": str(site.archive), "data": str(site.data), kind: name}
                    result = run_module("data_unpack", args, check=check)
            finally:
                os.setegid(0)
                os.setgroups(groups)
            assert result.failed and result["where"] == kind
            assert f"may not give files to the {kind} with the number 0" in result["found"]
            texts.add(result["msg"])
            assert snapshot(site.data.parent) == before
        assert len(texts) == 1


# Somebody else at work


def test_the_lock_of_a_living_process(site: Site, unpack: Run) -> None:
    store = generation.open_store(str(site.data))
    before = snapshot(site.data)
    process = subprocess.Popen(["sleep", "60"])
    try:
        os.mkdir(store.state)
        holder = {**lock._me("unpack other.tar"), "pid": process.pid, "start": lock._start_time(process.pid)}
        os.symlink(json.dumps(holder), store.lock)
        for check in (True, False):
            result = unpack(check=check, dry=False)
            assert result.failed
            assert f"{holder['user']}@{holder['host']} (pid {process.pid})" in result["found"]
            assert f"rm {store.lock}" in result["todo"]
        assert snapshot(site.data) == before
        os.unlink(store.lock)
        os.symlink(json.dumps({**holder, "host": "beta"}), store.lock)
        assert "@beta" in unpack(dry=False)["found"]
    finally:
        process.kill()
        process.wait()
    os.unlink(store.lock)
    os.symlink(json.dumps(holder), store.lock)
    assert unpack(dry=False)["changed"], "the lock of a process that is gone is taken over"
    assert not os.path.lexists(store.lock)


def test_folders_of_the_state_are_those_of_the_group(site: Site, unpack: Run) -> None:
    unpack()
    assert stat.S_IMODE((site.data.parent / ".data.anno").stat().st_mode) & 0o755 == 0o755
