"""module_utils/data_validate.py: a healthy data folder, and one broken in every way that there is a code for."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import data_validate, vcf_header
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import EOF_BLOCK
from ansible_collections.ousamg.anno.plugins.module_utils.problems import SEVERITY
from sandbox import packages
from support_data import replace
from support_tree import snapshot
from support_user import as_nobody, world_folder
from support_validate import (
    CLINVAR,
    CONFIG,
    bgzip,
    indexed,
    make_data,
    problems,
    touch_after,
)

GNOMAD = "variantDBs/gnomad/gnomad.exomes_2.1.1.vcf.gz"
BED = packages.LOCAL_BED
Break = Callable[[Path], None]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("original") / "data"
    make_data(data)
    return data


@pytest.fixture
def data(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "data", symlinks=True))


def test_nothing_is_wrong_with_a_healthy_one(data: Path) -> None:
    before = snapshot(data)
    result = data_validate.validate(str(data), checksums=True)
    assert result["problems"] == []
    assert {source["name"]: source["version"] for source in result["sources"]} == {
        "clinvar": "20230504",
        "fasta": "37",
        "gnomad": "2.1.1",
        "hgmd": "2023.1",
        "seqrepo": "2021-01-29",
        "vep": "105",
    }
    assert {source["name"]: source["destination"] for source in result["sources"]} == {
        name: packages.RECIPES[name].destination for name in packages.RECIPES
    }
    assert snapshot(data) == before


def config(old: str, new: str) -> Break:
    return lambda data: replace(data / CONFIG, old, new)


def both(old: str, new: str) -> Break:
    """A package that was made like this: its list in sources.json says so, and the configuration follows."""

    def change(data: Path) -> None:
        sources = packages.read_sources(data)
        text = json.dumps(sources)
        assert old in text
        (data / "sources.json").write_text(text.replace(old, new))
        packages.write_config(data)
        (data / CONFIG).chmod(0o774)

    return change


def sources(old: str, new: str) -> Break:
    return lambda data: replace(data / "sources.json", old, new)


def rewritten(name: str, content: Callable[[bytes], bytes]) -> Break:
    """A file with other bytes in it; its MD5SUM is made anew, its index stays and is newer."""

    def change(data: Path) -> None:
        path = data / name
        path.write_bytes(content(path.read_bytes()))
        touch_after(path.with_name(path.name + ".tbi"), path)

    return change


def local(text: str | bytes, name: str = "local/x.bed.gz", preset: str = "bed", *, csi: bool = False) -> Break:
    """One more file, with a table by hand that takes its fourth column."""

    def change(data: Path) -> None:
        indexed(data / name, text if isinstance(text, str) else text.decode(), preset, csi=csi)
        packages.set_modes(data / "local")
        with (data / CONFIG).open("a") as stream:
            stream.write(f'[[annotation]]\nfile = "{name}"\ncolumns = [4]\nnames = ["X"]\nops = ["first"]\n')

    return change


def after(*steps: Break) -> Break:
    def change(data: Path) -> None:
        for step in steps:
            step(data)

    return change


def endless(data: Path) -> None:
    path = data / CLINVAR
    bgzip(path, b"##fileformat=VCFv4.2\n" + b"#" * (vcf_header.MAX_HEADER + 1))
    touch_after(path.with_name(path.name + ".tbi"), path)


def fifo(name: str) -> Break:
    def change(data: Path) -> None:
        (data / name).unlink()
        os.mkfifo(data / name)
        (data / name).chmod(0o774)

    return change


def older(data: Path) -> None:
    status = (data / CLINVAR).stat()
    os.utime(data / f"{CLINVAR}.tbi", ns=(status.st_mtime_ns - 10**9, status.st_mtime_ns - 10**9))


def foreign_index(data: Path) -> None:
    """The index of another version of the same source: the same contigs, other places."""
    other = data.parent / "other"
    packages.make_package(other, "clinvar", "20190101")
    made = other / "variantDBs/clinvar/clinvar_20190101.vcf.gz"
    text = gzip.decompress(made.read_bytes()).splitlines(keepends=True)
    indexed(made, b"".join(text[: len(text) // 2]).decode(), "vcf")
    shutil.copy(f"{made}.tbi", data / f"{CLINVAR}.tbi")
    (data / f"{CLINVAR}.tbi").chmod(0o774)


def moved_out(data: Path) -> None:
    place = data.parent / "elsewhere.vcf.gz"
    (data / CLINVAR).rename(place)
    (data / CLINVAR).symlink_to(place)


def surplus(data: Path) -> None:
    name = "VEP/cache/x.bed.gz"
    local("1\t1\t2\tx\n", name)(data)
    packages.write_md5sum(data / "VEP/cache")
    packages.set_modes(data)


def linked(target: str) -> Break:
    return lambda data: (data / "seqrepo/more").symlink_to(target)


def config_text(text: str) -> Break:
    def change(data: Path) -> None:
        (data / CONFIG).write_text(text)

    return change


def ready(old: str, new: str) -> Break:
    return lambda data: replace(data / "variantDBs/clinvar/DATA_READY", old, new)


def strange_line(data: Path) -> None:
    text = gzip.decompress((data / CLINVAR).read_bytes()).decode()
    indexed(data / CLINVAR, text.replace("##INFO=<ID=CLNSIG,Number=.,", "##INFO=<Number=.,ID=CLNSIG,"), "vcf")
    packages.set_modes(data)


def no_vcf(data: Path) -> None:
    """A table that is called a VCF."""
    indexed(data / CLINVAR, "1\t1\t2\tx\n", "bed")
    (data / f"{CLINVAR}.tbi").chmod(0o774)


def in_hgmd(data: Path) -> None:
    local("1\t1\t2\tx\n", "variantDBs/hgmd/x.bed.gz")(data)
    packages.write_md5sum(data / "variantDBs/hgmd")
    packages.set_modes(data)


# Code → what to do to the folder, and all codes that are told then.
BROKEN: dict[str, tuple[Break, list[str]]] = {
    "column-missing": (config("columns = [4]", "columns = [5]"), ["column-missing"]),
    "config-empty": (config_text("# nothing\n"), ["config-empty", "file-unknown", *["table-missing"] * 4]),
    "config-missing": (lambda data: (data / CONFIG).unlink(), ["config-missing", "file-unknown"]),
    "config-syntax": (config("[[annotation]]", "[[annotation]"), ["config-syntax", "file-unknown"]),
    "field-missing": (both('"CLINVARJSON"', '"CLINVAR_JSON"'), ["field-missing"]),
    "field-twice": (both('"CLASS"', '"GENE"'), ["field-twice"]),
    "file-damaged": (rewritten(GNOMAD, lambda b: b[:200] + b"\0\1\2\3" + b[204:]), ["file-damaged"]),
    "file-empty": (rewritten(CLINVAR, lambda _: b""), ["file-empty"]),
    "file-kind": (fifo(CLINVAR), ["file-kind", "md5sum-file-missing"]),
    "file-missing": (lambda data: (data / CLINVAR).unlink(), ["file-missing", "md5sum-file-missing"]),
    "file-name": (
        local("##fileformat=VCFv4.2\n##contig=<ID=1>\n#CHROM\tPOS\tID\n1\t5\tx\tA\n", preset="vcf"),
        ["file-name"],
    ),
    "file-not-bgzip": (rewritten(CLINVAR, lambda b: gzip.compress(gzip.decompress(b))), ["file-not-bgzip"]),
    "file-truncated": (rewritten(CLINVAR, lambda b: b[: -len(EOF_BLOCK)]), ["file-truncated"]),
    "file-unknown": (
        lambda data: (data / "notes.txt").write_text("x") and (data / "notes.txt").chmod(0o774),
        ["file-unknown"],
    ),
    "file-unlisted": (
        lambda data: packages.set_modes(data) if (data / "FASTA/x").write_text("x") else None,
        ["file-unlisted"],
    ),
    "header-endless": (endless, ["header-endless"]),
    "header-line": (strange_line, ["header-line"]),
    "header-missing": (no_vcf, ["header-missing"]),
    "index-damaged": (lambda data: (data / f"{CLINVAR}.tbi").write_bytes(b"TBI\1") and None, ["index-damaged"]),
    "index-missing": (lambda data: (data / f"{CLINVAR}.tbi").unlink(), ["index-missing", "md5sum-file-missing"]),
    "index-old": (older, ["index-old"]),
    "index-other": (foreign_index, ["index-other"]),
    "key-unknown": (config("columns = [4]", "columns = [4]\nbogus = 1"), ["key-unknown"]),
    "lengths-differ": (
        config('names = ["LOCAL__ARTEFACT"]', 'names = ["LOCAL__ARTEFACT", "MORE"]'),
        ["lengths-differ"],
    ),
    "link-dangling": (linked("nowhere"), ["link-dangling"]),
    "link-outside": (linked("/etc"), ["link-outside"]),
    "lua-missing": (
        config(
            'columns = [4]\nnames = ["LOCAL__ARTEFACT"]\nops = ["first"]',
            'columns = [4]\nnames = ["LOCAL__ARTEFACT"]\nops = ["lua:vals[1]"]',
        ),
        ["lua-missing"],
    ),
    "mapping-odd": (
        both('"GNOMAD_EXOMES__AN", "GNOMAD_EXOMES__AF"', '"GNOMAD_EXOMES__AF", "GNOMAD_EXOMES__AN"'),
        ["mapping-odd"] * 2,
    ),
    "md5sum-damaged": (lambda data: (data / "FASTA/MD5SUM").write_text("x\n") and None, ["md5sum-damaged"]),
    "md5sum-file-missing": (lambda data: (data / "FASTA/human_g1k_37.fasta").unlink(), ["md5sum-file-missing"]),
    "md5sum-missing": (lambda data: (data / "FASTA/MD5SUM").unlink(), ["md5sum-missing"]),
    "name-invalid": (config('names = ["LOCAL__ARTEFACT"]', 'names = ["LOCAL ARTEFACT"]'), ["name-invalid"]),
    "name-twice": (config('"LOCAL__ARTEFACT"', '"CLINVARJSON"'), ["name-twice"]),
    "op-unfit": (
        config(
            'columns = [4]\nnames = ["LOCAL__ARTEFACT"]\nops = ["first"]',
            'columns = [4]\nnames = ["LOCAL__ARTEFACT"]\nops = ["max"]',
        ),
        ["op-unfit"],
    ),
    "op-unknown": (config('op = "sum"', 'op = "median"'), ["op-unknown"]),
    "package-missing": (lambda data: shutil.rmtree(data / "FASTA"), ["package-missing"]),
    "package-unclear": (after(both('"fasta"', '"reference"'), both('"vep"', '"transcripts"')), ["package-unclear"] * 2),
    "package-unlisted": (lambda data: _without(data, "fasta"), ["package-unlisted"]),
    "package-unready": (lambda data: (data / "variantDBs/clinvar/DATA_READY").unlink(), ["package-unready"]),
    "package-version": (lambda data: replace(data / "FASTA/DATA_READY", "37", "38"), ["package-version"]),
    "path-outside": (moved_out, ["link-outside", "path-outside"]),
    "permissions": (lambda data: (data / "FASTA/DATA_READY").chmod(0o600), ["permissions"]),
    "sources-missing": (lambda data: (data / "sources.json").unlink(), ["sources-missing"]),
    "sources-syntax": (sources('"version": "37"', '"version": '), ["sources-syntax"]),
    "sources-twice": (sources('"version": "37"', '"version": "38", "version": "37"'), ["sources-twice"]),
    "table-differs": (
        config('"HGMD__CLASS", "HGMD__GENE"', '"HGMD__GENE", "HGMD__CLASS"'),
        ["mapping-odd", "mapping-odd", "table-differs"],
    ),
    "table-incomplete": (config('ops = ["first"]\n\n[[post', "\n[[post"), ["table-incomplete"]),
    "table-missing": (
        sources('"file": "variantDBs/hgmd/hgmd_2023.1', '"file": "variantDBs/hgmd/more_2023.1'),
        ["table-missing", "table-unlisted"],
    ),
    "table-surplus": (surplus, ["table-surplus"]),
    "table-unlisted": (in_hgmd, ["table-unlisted"]),
    "value-type": (config('op = "sum"', "op = 1"), ["value-type"]),
    "file-version": (
        after(sources('"version": "20230504"', '"version": "20240107"'), ready("20230504", "20240107")),
        ["file-version"],
    ),
}


def _without(data: Path, name: str) -> None:
    kept = packages.read_sources(data)
    del kept[name]
    (data / "sources.json").write_text(json.dumps(kept))


@pytest.mark.parametrize("code", BROKEN)
def test_what_is_broken_is_told(data: Path, code: str) -> None:
    break_it, expected = BROKEN[code]
    break_it(data)
    before = snapshot(data)
    found = problems(data)
    assert code in expected
    assert sorted(problem.code for problem in found) == sorted(expected)
    for problem in found:
        assert problem.path and ". Expected: " in problem.message and ". What to do: " in problem.message
    assert snapshot(data) == before


def test_every_code_has_its_test() -> None:
    # Those that need more than a broken folder have a test of their own below.
    assert {*BROKEN, "checksum-mismatch", "file-unreadable"} == set(SEVERITY)


def test_a_wrong_checksum(data: Path) -> None:
    name = "FASTA/human_g1k_37.fasta"
    replace(data / name, "TTGACC", "TTGACT")
    assert problems(data) == []
    (found,) = data_validate.validate(str(data), checksums=True)["problems"]
    assert (found["code"], found["path"], found["severity"]) == ("checksum-mismatch", name, "error")


def test_the_progress_of_the_checksums(data: Path, tmp_path: Path) -> None:
    progress = tmp_path / "progress"
    data_validate.validate(str(data), checksums=True, progress=str(progress))
    state = json.loads(progress.read_text())
    listed = {
        data / folder.parent / line.split("  ")[1]
        for folder in data.rglob("MD5SUM")
        for line in folder.read_text().splitlines()
    }
    assert state["done"] == state["total"] == sum(path.stat().st_size for path in listed)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_this_user_may_not_read() -> None:
    with world_folder() as folder:
        data = folder / "data"
        make_data(data)
        (data / "FASTA").chmod(0o700)
        (data / CLINVAR).chmod(0o700)
        (data / "sources.json").chmod(0o700)
        with as_nobody():
            found = problems(data)
    unreadable = [problem.path for problem in found if problem.code == "file-unreadable"]
    assert unreadable == ["FASTA", "sources.json", CLINVAR]


def test_all_problems_at_once_and_always_in_the_same_order(data: Path) -> None:
    """Nine things that do not hide each other."""
    for code in ("column-missing", "file-unlisted", "index-missing", "op-unknown", "package-version", "link-dangling"):
        BROKEN[code][0](data)
    config("columns = [5]", "columns = [5]\nbogus = 1")(data)
    (data / "VEP/cache/MD5SUM").unlink()
    (data / "VEP").chmod(0o700)
    found = problems(data)
    assert [problem.code for problem in found] == [
        "package-version",
        "md5sum-file-missing",
        "index-missing",
        "column-missing",
        "key-unknown",
        "op-unknown",
        "permissions",
        "file-unlisted",
        "md5sum-missing",
        "link-dangling",
    ]
    assert problems(data) == found


def test_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("gone", "file"):
        with pytest.raises(OSError, match=name):
            data_validate.validate(str(tmp_path / name))
