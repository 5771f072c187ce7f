"""The module data_archive: what it packs, that it is packed the same each time, and what it refuses without a trace."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import support_tar as tar
from ansible_collections.ousamg.anno.plugins.module_utils import lock, pack
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import inspect_archive
from sandbox import packages
from sandbox.archive import make_archive
from support_data import replace
from support_faults import no_room
from support_tree import contents, snapshot

Run = Callable[..., Any]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user, or to mount")
PACKAGES: dict[str, packages.Version] = {
    "clinvar": "20240107", "fasta": "37", "gnomad": "3.0", "hgmd": "2023.4", "seqrepo": "2021-01-29", "vep": 105
}  # fmt: skip
NAME = "clinvar_20240107-fasta_37-gnomad_3.0-hgmd_2023.4-seqrepo_2021-01-29-vep_105.tar"
CLINVAR, VEP, SEQREPO = (packages.RECIPES[name].destination for name in ("clinvar", "vep", "seqrepo"))
# What ella-anno's own script does, in short: list, extract all, move each folder into its place, take the entries.
ELLA_ANNO = r"""
set -euo pipefail
archive=$1 data=$2
mkdir "$data/.tmp"
names=$(tar -xOf "$archive" PACKAGES)
tar -xf "$archive" -C "$data/.tmp"
find "$data/.tmp" -name DATA_READY -printf '%P\n' | while read -r ready; do
    place=$data/$(dirname "$ready")
    rm -rf "$place"
    mkdir -p "$(dirname "$place")"
    mv "$data/.tmp/$(dirname "$ready")" "$place"
done
python3 - "$data" $names <<'END'
import json, os, sys
data, *names = sys.argv[1:]
path = data + "/sources.json"
old = json.load(open(path)) if os.path.exists(path) else {}
new = json.load(open(data + "/.tmp/sources.json"))
json.dump({**old, **{name: new[name] for name in names}}, open(path, "w"), indent=4)
END
rm -r "$data/.tmp"
"""


class Site(NamedTuple):
    top: Path
    data: Path
    dest: Path


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("original") / "data"
    packages.data_folder(data, PACKAGES)
    # A JSON number that no JSON library writes back as it was.
    replace(data / "sources.json", '"version": "3.0"', '"version": 3.0')
    return data


@pytest.fixture
def site(original: Path, tmp_path: Path) -> Site:
    shutil.copytree(original, tmp_path / "site/data", symlinks=True)
    return Site(tmp_path / "site", tmp_path / "site/data", tmp_path / "site/a.tar")


@pytest.fixture
def archive(site: Site, run_module: Run) -> Run:
    """Run the module on the site; ``check``, ``diff`` and its arguments by name. A dry run writes nothing, and tells
    what the run then returns; what was made is whole."""

    def run(*, check: bool = False, diff: bool = False, **args: Any) -> Any:
        given = {"data": str(site.data), "dest": str(site.dest), **args}
        before = snapshot(site.top)
        predicted = run_module("data_archive", given, check=True, diff=diff)
        assert snapshot(site.top) == before, "a dry run writes nothing"
        if check:
            return predicted
        done = run_module("data_archive", given, diff=diff)
        if done.failed:
            assert snapshot(site.top) == before, "what fails leaves nothing"
            return done
        for key in ("archive", "bytes", "changed", "diff", "files", "left_out", "packages", "reasons", "size"):
            assert predicted[key] == done[key], key
        made = Path(done["archive"])
        assert made.stat().st_size == done["size"]
        assert done["sha256"] in (None, sha256(made))
        names = {package["name"] for package in done["packages"] if package["after"] is not None}
        index = inspect_archive(str(made))
        assert set(index.names) == names
        assert sum(package.bytes for package in index.packages) == done["bytes"]
        assert {*os.listdir(site.top)} - {*(Path(name).parts[0] for name in before)} <= {made.name}
        return done

    return run


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def of_packages(data: Path, names: Sequence[str] = tuple(PACKAGES)) -> dict[str, str]:
    """The files and links of packages."""
    roots = tuple(packages.RECIPES[name].destination + "/" for name in names)
    return {name: content for name, content in contents(data).items() if name.startswith(roots)}


def unpacked(run_module: Run, path: str, folder: Path) -> Path:
    folder.mkdir()
    assert not run_module("data_unpack", {"src": path, "data": str(folder)}).failed
    return folder


def unpacked_by_ella_anno(path: str, folder: Path) -> Path:
    folder.mkdir()
    subprocess.run(["bash", "-c", ELLA_ANNO, "unpack", path, folder], check=True)
    return folder


# What is packed


def test_all_packages(site: Site, archive: Run, run_module: Run, tmp_path: Path) -> None:
    result = archive(dest=str(site.top))
    assert result["changed"] and result["archive"] == str(site.top / NAME)
    assert [(p["name"], p["before"], p["after"]) for p in result["packages"]] == [
        (name, None, str(version)) for name, version in PACKAGES.items()
    ]
    assert result["packages"][0]["destination"] == CLINVAR
    wanted = of_packages(site.data)
    for folder in (
        unpacked(run_module, result["archive"], tmp_path / "ours"),
        unpacked_by_ella_anno(result["archive"], tmp_path / "theirs"),
    ):
        assert of_packages(folder) == wanted
        assert packages.read_sources(folder) == packages.read_sources(site.data)
        for place in (CLINVAR, VEP, SEQREPO):
            subprocess.run(["md5sum", "--check", "--quiet", "MD5SUM"], cwd=folder / place, check=True)


def test_some_packages_with_the_sources_of_all(site: Site, archive: Run, run_module: Run, tmp_path: Path) -> None:
    """As ella-anno: its script takes the entries of PACKAGES only."""
    result = archive(packages=["vep", "clinvar"], dest=str(site.top))
    assert result["archive"] == str(site.top / "clinvar_20240107-vep_105.tar")
    with tarfile.open(result["archive"]) as stream:
        text, names = (stream.extractfile(name).read() for name in ("sources.json", "PACKAGES"))  # type: ignore[union-attr]
    assert text == (site.data / "sources.json").read_bytes()
    assert names == b"clinvar\nvep\n"
    for folder in (
        unpacked(run_module, result["archive"], tmp_path / "ours"),
        unpacked_by_ella_anno(result["archive"], tmp_path / "theirs"),
    ):
        assert of_packages(folder) == of_packages(site.data, ["vep", "clinvar"])
        assert sorted(packages.read_sources(folder)) == ["clinvar", "vep"]


def test_long_names_links_and_empty_files(site: Site, archive: Run, run_module: Run, tmp_path: Path) -> None:
    deep = "/".join(["d" * 90] * 3)
    for name in ("n" * 100, "n" * 101, f"{deep}/å b", "-rf", "empty"):
        (site.data / VEP / name).parent.mkdir(parents=True, exist_ok=True)
        (site.data / VEP / name).write_text("" if name == "empty" else name)
    (site.data / VEP / "link").symlink_to(f"{deep}/å b")
    (site.data / VEP / "no folder's folder").mkdir()
    packages.write_md5sum(site.data / VEP)
    result = archive(packages=["vep"])
    for folder in (
        unpacked(run_module, result["archive"], tmp_path / "ours"),
        unpacked_by_ella_anno(result["archive"], tmp_path / "theirs"),
    ):
        assert of_packages(folder) == of_packages(site.data, ["vep"])
        assert (folder / VEP / "no folder's folder").is_dir()


def test_incomplete_packages_are_left_out_and_named(site: Site, archive: Run) -> None:
    (site.data / VEP / "DATA_READY").unlink()
    shutil.rmtree(site.data / CLINVAR)
    (site.data / ".tmp/variantDBs").mkdir(parents=True)
    shutil.copytree(site.data / SEQREPO, site.data / ".tmp/seqrepo", symlinks=True)
    result = archive()
    assert result["left_out"] == ["clinvar", "vep"]
    assert [package["name"] for package in result["packages"]] == ["fasta", "gnomad", "hgmd", "seqrepo"]


def test_datasets_tell_which_folder_is_whose(site: Site, archive: Run) -> None:
    for old, new in ((VEP, "aaa"), ("FASTA", "bbb")):
        (site.data / old).rename(site.data / new)
        (site.data / new / "DATA_READY").write_text("version: 1\n")
    assert "which package it is cannot be told" in archive()["found"]
    assert "which folder is vep cannot be told (aaa, bbb)" in archive(packages=["vep"])["found"]
    assert [package["name"] for package in archive(packages=["hgmd"])["packages"]] == ["hgmd"]
    datasets = site.top / "datasets.json"
    datasets.write_text(json.dumps({"vep": {"destination": "aaa"}, "fasta": {"destination": "bbb"}}))
    result = archive(packages=["fasta", "vep"], datasets=[str(datasets)])
    assert {package["name"]: package["destination"] for package in result["packages"] if package["after"]} == {
        "fasta": "bbb", "vep": "aaa"
    }  # fmt: skip


# The same bytes


def test_the_bytes_are_those_of_gnu_tar(site: Site, archive: Run, tmp_path: Path) -> None:
    (tmp_path / "PACKAGES").write_text("seqrepo\nvep\n")
    names = ["sources.json"]
    for place in (VEP, SEQREPO):
        below = sorted((site.data / place).rglob("*"), key=lambda path: path.parts)
        names += [place, *(str(path.relative_to(site.data)) for path in below)]
    packages.set_modes(site.data)
    packages.set_modes(tmp_path)
    for path in (*map(site.data.joinpath, names), tmp_path / "PACKAGES"):
        os.utime(path, (tar.MTIME, tar.MTIME), follow_symlinks=False)
    options = ["--format=gnu", "--numeric-owner", "--owner=0", "--group=0", "--no-recursion"]
    theirs = tmp_path / "theirs.tar"
    command = ["tar", "--create", f"--file={theirs}", *options, "-C", site.data, *names, "-C", tmp_path, "PACKAGES"]
    subprocess.run(command, check=True)
    assert archive(packages=["vep", "seqrepo"])["sha256"] == sha256(theirs)


def test_nothing_but_the_packages_counts(site: Site, archive: Run, run_module: Run, tmp_path: Path) -> None:
    first = archive()["sha256"]
    # A copy, made in another order, with times of folders and links, modes and an owner of its own.
    copy = tmp_path / "copy"
    for path in sorted(site.data.rglob("*"), reverse=True):
        target = copy / path.relative_to(site.data)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(os.readlink(path))
        elif path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            shutil.copy2(path, target)
            target.chmod(0o640)
            if os.geteuid() == 0:
                os.chown(target, 1234, 1234)
    umask = os.umask(0o027)
    os.environ["TZ"] = "Asia/Tokyo"
    try:
        result = run_module("data_archive", {"data": str(copy), "dest": str(tmp_path / "b.tar")})
    finally:
        os.umask(umask)
        del os.environ["TZ"]
    assert result["sha256"] == first
    assert (tmp_path / "b.tar").read_bytes() == site.dest.read_bytes()
    # And what was unpacked is packed as it came; only sources.json is written anew there.
    again = unpacked(run_module, str(site.dest), tmp_path / "unpacked")
    shutil.copy2(site.data / "sources.json", again)
    assert run_module("data_archive", {"data": str(again), "dest": str(tmp_path / "c.tar")})["sha256"] == first


def test_a_file_s_time_counts(site: Site, archive: Run) -> None:
    first = archive()["sha256"]
    os.utime(site.data / VEP / "MD5SUM", (1_600_000_000, 1_600_000_000))
    assert archive()["sha256"] != first


# What is there


def test_a_second_run_has_nothing_to_do_and_reads_no_data(
    site: Site, archive: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive()
    before = snapshot(site.top)
    monkeypatch.setattr(pack, "write", None)
    result = archive(diff=True)
    assert (result["changed"], result["reasons"], result["sha256"], result["diff"]) == (False, [], None, [])
    assert snapshot(site.top) == before


@pytest.mark.parametrize("what", ["version", "file", "md5sum", "ready", "sources", "surplus"])
def test_what_is_not_the_same_is_replaced(site: Site, archive: Run, what: str) -> None:
    archive()
    place = site.data / VEP
    if what == "version":
        shutil.rmtree(place)
        packages.make_package(site.data, "vep", 110)
    elif what == "file":
        os.utime(place / "homo_sapiens_merged/105_GRCh37/info.txt", (1, 1))
    elif what == "md5sum":
        status = (place / "MD5SUM").stat()
        replace(place / "MD5SUM", "  ", " *")
        os.utime(place / "MD5SUM", ns=(status.st_mtime_ns, status.st_mtime_ns))
    elif what == "ready":
        status = (place / "DATA_READY").stat()
        replace(place / "DATA_READY", "08:00:00", "09:00:00")
        os.utime(place / "DATA_READY", ns=(status.st_mtime_ns, status.st_mtime_ns))
    elif what == "sources":
        replace(site.data / "sources.json", '"20240107"', '"20240108"')
    else:
        (place / "link").symlink_to("MD5SUM")
    result = archive(diff=True)
    assert result["changed"]
    versions = {"version": "vep: 105 → 110", "sources": "clinvar: 20240107 → 20240108"}
    assert result["reasons"] == [versions.get(what, "its files, lists or form are not those of the data folder")]
    assert not archive()["changed"]


def test_an_archive_of_gnu_tar_is_written_anew(site: Site, archive: Run) -> None:
    """The same packages, and other bytes: it has names twice."""
    make_archive(site.dest, site.data, sorted(PACKAGES))
    site.dest.chmod(0o774)
    result = archive()
    assert result["reasons"] == ["its files, lists or form are not those of the data folder"]
    assert result["packages"][0]["before"] == result["packages"][0]["after"] == "20240107"


def test_packages_that_are_not_asked_for_go(site: Site, archive: Run) -> None:
    archive(packages=["clinvar", "vep"])
    result = archive(packages=["vep"], diff=True)
    assert result["reasons"] == ["clinvar: 20240107 → gone"]
    (diff,) = result["diff"]
    assert [line.split(",")[0] for line in diff["before"].splitlines()] == [
        "clinvar: version 20240107", "vep: version 105"
    ]  # fmt: skip
    assert diff["after"] == diff["before"].splitlines(keepends=True)[1]


def test_the_mode(site: Site, archive: Run) -> None:
    umask = os.umask(0o077)
    try:
        archive(mode="0640")
    finally:
        os.umask(umask)
    assert stat.S_IMODE(site.dest.stat().st_mode) == 0o640
    inode = site.dest.stat().st_ino
    assert archive(mode="0604", diff=True)["reasons"] == ["mode 0640 → 0644"]
    assert (stat.S_IMODE(site.dest.stat().st_mode), site.dest.stat().st_ino) == (0o644, inode)
    assert not archive(mode="0400")["changed"]
    archive(packages=["vep"], mode="0020")
    assert stat.S_IMODE(site.dest.stat().st_mode) == 0o664


# Adding to what is there


def test_update_gives_what_packing_all_at_once_gives(site: Site, archive: Run) -> None:
    wanted = archive()["sha256"]
    site.dest.unlink()
    archive(packages=["vep", "clinvar"], update=True)
    archive(packages=["seqrepo"], update=True)
    result = archive(packages=["gnomad", "fasta", "hgmd"], update=True)
    assert result["reasons"] == ["fasta: new → 37", "gnomad: new → 3.0", "hgmd: new → 2023.4"]
    assert result["sha256"] == wanted
    assert not archive(packages=["gnomad"], update=True)["changed"]
    assert not archive()["changed"]


def test_update_of_an_archive_of_gnu_tar(site: Site, archive: Run, run_module: Run, tmp_path: Path) -> None:
    """What stays keeps its content and its entries, also those that the data folder has otherwise or not at all."""
    older = tmp_path / "older"
    packages.data_folder(older, {"clinvar": "20230504", "fasta": "36", "vep": 104, "hgmd": "1999.9"})
    replace(older / "sources.json", '"version": 104', '"version": 104.10')
    replace(older / VEP / "DATA_READY", "version: 104", "version: 104.10")
    make_archive(site.dest, older, ["clinvar", "fasta", "vep"])
    site.dest.chmod(0o774)
    sources = packages.read_sources(site.data)
    del sources["fasta"]
    (site.data / "sources.json").write_text(json.dumps(sources))
    shutil.rmtree(site.data / "FASTA")
    result = archive(packages=["clinvar", "seqrepo"], update=True)
    assert result["reasons"] == ["clinvar: 20230504 → 20240107", "seqrepo: new → 2021-01-29"]
    assert {package["name"]: package["after"] for package in result["packages"]} == {
        "clinvar": "20240107", "fasta": "36", "seqrepo": "2021-01-29", "vep": "104.10"
    }  # fmt: skip
    folder = unpacked(run_module, result["archive"], tmp_path / "unpacked")
    assert of_packages(folder) == of_packages(site.data, ["clinvar", "seqrepo"]) | of_packages(older, ["fasta", "vep"])
    assert '"version": 104.10' in (folder / "sources.json").read_text()
    assert not archive(packages=["clinvar", "seqrepo"], update=True)["changed"]


def test_update_verifies_what_stays(site: Site, archive: Run) -> None:
    archive(packages=["vep"])
    content = site.dest.read_bytes()
    assert content.count(b"transcripts of VEP") == 1
    site.dest.write_bytes(content.replace(b"transcripts of VEP", b"transcripts of VEQ"))
    result = archive(packages=["clinvar"], update=True)
    assert result.failed and "its MD5 is" in result["found"] and result["where"] == str(site.dest)


@pytest.mark.parametrize("update", [False, True])
def test_a_compressed_archive_is_neither_replaced_nor_added_to(site: Site, archive: Run, update: bool) -> None:
    archive(packages=["vep"])
    site.dest.write_bytes(gzip.compress(site.dest.read_bytes()))
    content = site.dest.read_bytes()
    result = archive(packages=["clinvar"], update=update)
    assert result.failed and "it is compressed" in result["found"]
    assert site.dest.read_bytes() == content


def test_update_of_a_package_that_has_moved(site: Site, archive: Run) -> None:
    archive(packages=["seqrepo", "vep"])
    (site.data / SEQREPO).rename(site.data / "seqrepo_new")
    result = archive(packages=["seqrepo"], update=True)
    assert {p["name"]: p["destination"] for p in result["packages"]} == {"seqrepo": "seqrepo_new", "vep": VEP}


def test_update_needs_the_file(site: Site, archive: Run) -> None:
    assert "it is a folder" in archive(dest=str(site.top), update=True)["found"]


def test_update_where_the_archive_does_not_tell(site: Site, archive: Run) -> None:
    entries = [*tar.below("zzz", tar.package({"a": "1"})), *tar.below("yyy", tar.package({"b": "1"}))]
    site.dest.write_bytes(tar.data_archive(["seq", "fas"], {"seq": tar.source(), "fas": tar.source()}, entries))
    result = archive(packages=["vep"], update=True)
    assert "which package the folder yyy is cannot be told" in result["found"]
    datasets = site.top / "datasets.json"
    datasets.write_text(json.dumps({"seq": {"destination": "yyy"}, "fas": {"destination": "zzz"}}))
    # The archive itself says as little as before.
    result = archive(packages=["vep"], update=True, datasets=[str(datasets)])
    assert [package["name"] for package in result["packages"]] == ["fas", "seq", "vep"]


# Refusals


def fails(result: Any, found: str) -> None:
    assert result.failed
    for part in ("msg", "where", "found", "expected", "todo"):
        assert result[part], part
    assert found in result["msg"]
    assert "Traceback" not in json.dumps(result)


def test_a_package_that_is_not_there(site: Site, archive: Run) -> None:
    result = archive(packages=["vep", "cosmic"])
    fails(result, "sources.json has no package cosmic")
    assert result["expected"] == f"some of {', '.join(PACKAGES)}"
    (site.data / CLINVAR / "DATA_READY").unlink()
    result = archive(packages=["clinvar"])
    fails(result, "the package clinvar has no folder with a DATA_READY")
    assert result["where"] == str(site.data / CLINVAR) and "clinvar" not in result["expected"]
    fails(archive(packages=[]), "packages: is empty")


def test_no_data_folder(site: Site, archive: Run) -> None:
    fails(archive(data=str(site.top / "gone")), "there is no such folder")
    (site.top / "empty").mkdir()
    fails(archive(data=str(site.top / "empty")), "it has no sources.json")
    (site.top / "empty/sources.json").write_text("{}")
    fails(archive(data=str(site.top / "empty")), "no folder has a DATA_READY")
    (site.top / "empty/sources.json").write_text("[")
    fails(archive(data=str(site.top / "empty")), "it is not JSON")


def test_a_package_that_is_not_whole(site: Site, archive: Run) -> None:
    (site.data / VEP / "MD5SUM").rename(site.data / VEP / "MD5")
    fails(archive(), "has no file MD5SUM")


def test_content_that_is_not_that_of_md5sum(site: Site, run_module: Run) -> None:
    """A dry run does not read the data; the run leaves nothing."""
    replace(site.data / VEP / "homo_sapiens_merged/105_GRCh37/info.txt", "homo", "hono")
    before = snapshot(site.top)
    result = run_module("data_archive", {"data": str(site.data), "dest": str(site.dest)})
    fails(result, "info.txt: its MD5 is")
    assert snapshot(site.top) == before


def test_a_file_that_changes_while_it_is_read(site: Site, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    really, place = os.preadv, site.data / VEP / "homo_sapiens_merged/105_GRCh37/info.txt"
    status = place.stat()

    def changing(fd: int, *args: Any) -> int:
        count = really(fd, *args)
        if os.fstat(fd).st_ino == status.st_ino:
            os.utime(place, (1, 1))
        return count

    monkeypatch.setattr(os, "preadv", changing)
    before = snapshot(site.top)
    result = run_module("data_archive", {"data": str(site.data), "dest": str(site.dest)})
    fails(result, f"{place}: it was changed while it was read")
    assert set(snapshot(site.top)) == set(before)


def test_a_table_that_names_a_missing_file(site: Site, archive: Run) -> None:
    replace(site.data / "sources.json", "clinvar_20240107.vcf.gz", "clinvar_20240108.vcf.gz")
    fails(archive(), "the vcfanno list of clinvar names variantDBs/clinvar/clinvar_20240108.vcf.gz")


@pytest.mark.parametrize("content", [b"", b"notes\n", b"x" * 5000])
def test_what_is_there_and_no_archive_is_not_replaced(site: Site, archive: Run, content: bytes) -> None:
    site.dest.write_bytes(content)
    result = archive()
    fails(result, str(site.dest))
    assert "Nothing but a data archive is replaced" in result["todo"]
    assert site.dest.read_bytes() == content


def test_a_dest_that_cannot_be(site: Site, archive: Run) -> None:
    fails(archive(dest=str(site.data / VEP / "a.tar")), "it lies inside the package vep")
    fails(archive(dest=str(site.top / "gone/a.tar")), "gone")
    (site.top / "link").symlink_to("elsewhere")
    fails(archive(dest=str(site.top / "link")), "no regular file")
    fails(archive(mode="774"), "mode: is '774'")
    # As the procedure has it: beside the packages.
    assert archive(dest=str(site.data / "a.tar"))["changed"]


def test_a_disk_that_is_too_small(site: Site, archive: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    no_room(monkeypatch)
    result = archive()
    fails(result, "0 B are free on its file system")
    assert result["where"] == str(site.dest)
    (site.top / ".a.tar.new").write_bytes(b"x" * (1 << 20))
    assert not archive().failed, "what a killed run left is no lost room"


@AS_ROOT
def test_a_folder_that_the_user_may_not_write(site: Site, run_module: Run) -> None:
    top = Path("/tmp", f"anno-test-{os.getpid()}")
    shutil.copytree(site.top, top, symlinks=True)
    try:
        top.chmod(0o755)
        args = {"data": str(top / "data"), "dest": str(top / "a.tar")}
        for check in (True, False):
            os.seteuid(65534)
            try:
                result = run_module("data_archive", args, check=check)
            finally:
                os.seteuid(0)
            fails(result, "this user may not write there")
            assert result["where"] == str(top)
    finally:
        shutil.rmtree(top)


def test_somebody_else_at_work(site: Site, archive: Run) -> None:
    path = site.top / ".a.tar.lock"
    with lock.held(str(path), "pack a.tar"):
        fails(archive(), "works here since")
        fails(archive(check=True), "pack a.tar")
    assert archive()["changed"]


def test_killed_in_the_middle(site: Site, archive: Run) -> None:
    """A real process and a real signal: nothing is at dest, and the next run cleans up."""
    script = (
        "import os, signal, sys\n"
        "from ansible_collections.ousamg.anno.plugins.module_utils import data_pack, pack\n"
        "pack._BLOCK = 4096\n"
        "really, count = os.write, iter(range(5))\n"
        "def write(*args):\n"
        "    if next(count, None) is None:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return really(*args)\n"
        "os.write = write\n"
        "data_pack.apply(data_pack.Request(*sys.argv[1:]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, site.data, site.dest],
        check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert run.returncode == -9
    assert not site.dest.exists()
    assert 0 < (site.top / ".a.tar.new").stat().st_size < 30_000
    assert archive()["changed"]
    assert sorted(os.listdir(site.top)) == ["a.tar", "data"]
