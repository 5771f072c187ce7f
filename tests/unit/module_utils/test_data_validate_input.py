"""module_utils/data_validate.py with bad input, large input, and the public table of gnomAD."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import vcfanno_config
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import EOF_BLOCK
from sandbox import packages
from support_validate import CLINVAR, CONFIG, Judge, bgzip, codes, gnomad_exomes, indexed, make_data, problems

GNOMAD = "variantDBs/gnomad/gnomad.exomes_2.1.1.vcf.gz"
BED = packages.LOCAL_BED


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("original") / "data"
    make_data(data)
    return data


@pytest.fixture
def data(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "data", symlinks=True))


@pytest.mark.parametrize("name", ["sources.json", CONFIG])
@pytest.mark.parametrize("thing", ["fifo", "folder", "empty", "latin1", "nul", "dangling", "loop"])
def test_things_in_place_of_the_two_lists(data: Path, name: str, thing: str) -> None:
    path = data / name
    path.unlink()
    makers: dict[str, Callable[[], object]] = {
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "empty": path.touch,
        "latin1": lambda: path.write_bytes(b'a = "\xe5"\n'),
        "nul": lambda: path.write_bytes(b"\0"),
        "dangling": lambda: path.symlink_to("nowhere"),
        "loop": lambda: path.symlink_to(name),
    }
    makers[thing]()
    own = {"sources.json": "sources-", CONFIG: "config-"}[name]
    told = [problem for problem in problems(data) if problem.severity == "error"]
    assert any(problem.code.startswith(own) or problem.code == "file-unreadable" for problem in told)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a": ' * 100_000, '{"a": {"version": 1' + "0" * 5000 + "}}"])
def test_json_that_is_made_to_hurt(data: Path, text: str) -> None:
    (data / "sources.json").write_text(text)
    # The last one is legal, of a package that nobody knows.
    assert {"sources-syntax", "package-unclear"} & set(codes(data))


def test_toml_that_is_made_to_hurt(data: Path) -> None:
    (data / CONFIG).write_text("a = " + "[" * 100_000)
    assert codes(data)["config-syntax"] == 1


@pytest.mark.parametrize("name", [GNOMAD, f"{GNOMAD}.tbi", BED, f"{BED}.tbi", "FASTA/DATA_READY", "FASTA/MD5SUM"])
def test_a_fifo_in_place_of_a_file_does_not_hang(data: Path, name: str) -> None:
    (data / name).unlink()
    os.mkfifo(data / name)
    assert problems(data)


@pytest.mark.parametrize("link", ["nowhere", "hgmd_2023.1.vcf.gz", "../../../other.vcf.gz", "/dev/zero"])
def test_links_in_place_of_an_annotation_file(data: Path, link: str) -> None:
    path = data / "variantDBs/hgmd/hgmd_2023.1.vcf.gz"
    path.unlink()
    path.symlink_to(link)
    told = {problem.code for problem in problems(data) if problem.path.endswith(path.name)}
    # The second one leads to itself.
    assert told & {"file-missing", "path-outside", "file-unreadable"}


@pytest.mark.parametrize("name", ["a\0b.vcf.gz", "x" * 5000, "~/x", "-", "|ls", "http://x/y.gz", "a\nb", " ", "/", "."])
def test_names_that_are_no_file(data: Path, name: str) -> None:
    config = (data / CONFIG).read_text().replace(json.dumps(BED), json.dumps(name))
    (data / CONFIG).write_text(config)
    told = codes(data)
    assert told.pop("file-unknown") == 1
    assert set(told) <= {"file-missing", "path-outside", "file-unreadable"} and sum(told.values()) == 1


def test_a_link_within_the_folder_is_all_right(data: Path) -> None:
    """As a package may have it; its checksum is that of the file."""
    for end in ("", ".tbi"):
        (data / "local" / f"real{end}").write_bytes((data / f"{BED}{end}").read_bytes())
        (data / f"{BED}{end}").unlink()
        (data / f"{BED}{end}").symlink_to(f"real{end}")
        (data / "local" / f"real{end}").chmod(0o774)
    assert codes(data) == Counter({"file-unknown": 1})


def test_an_index_in_the_newer_form(data: Path) -> None:
    (data / f"{CLINVAR}.tbi").unlink()
    text = gzip.decompress((data / CLINVAR).read_bytes()).decode()
    indexed(data / CLINVAR, text, "vcf", csi=True)
    packages.write_md5sum(data / "variantDBs/clinvar")
    packages.set_modes(data)
    assert problems(data) == []


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How many bytes were read from data files."""
    count: Counter[str] = Counter()
    real = os.pread

    def pread(fd: int, size: int, offset: int) -> bytes:
        content = real(fd, size, offset)
        count["bytes"] += len(content)
        return content

    monkeypatch.setattr(os, "pread", pread)
    return count


def test_little_of_a_large_file_is_read(data: Path, reads: Counter[str]) -> None:
    """1 GB of which the middle is a hole: its first and last block, and an index that leads to both."""
    path = data / "local/large.vcf.gz"
    size = 10**9
    bgzip(path, Judge.VCF)
    first = path.read_bytes()[: -len(EOF_BLOCK)]
    bgzip(path, "1\t900\trs2\tA\tC\t.\tLOW\tAC=1\n")
    last = path.read_bytes()
    with path.open("wb") as stream:
        stream.write(first)
        stream.truncate(size)
        stream.seek(size - len(last))
        stream.write(last)
    begin, end = Judge.VCF.index("1\t100"), size - len(EOF_BLOCK)
    index = b"TBI\1" + struct.pack("<8i", 1, 2, 1, 2, 0, ord("#"), 0, 2) + b"1\0"
    index += struct.pack("<iIiQQ", 1, 4681, 1, begin, end << 16) + struct.pack("<iQ", 1, begin)
    bgzip(Path(f"{path}.tbi"), index)
    packages.set_modes(data)
    reads.clear()
    with (data / CONFIG).open("a") as stream_:
        stream_.write('[[annotation]]\nfile = "local/large.vcf.gz"\nfields = ["AC"]\nnames = ["X"]\nops = ["max"]\n')
    assert problems(data) == []
    assert reads["bytes"] < 300_000


@pytest.mark.skipif(vcfanno_config._fast_loads is None, reason="without tomllib or tomli tomlkit takes the time")
def test_ten_thousand_tables(data: Path) -> None:
    tables = (
        f'[[annotation]]\nfile = "{BED}"\ncolumns = [4, 1, 2]\n'
        f'names = ["A{n}", "B{n}", "C{n}"]\nops = ["first", "self", "max"]\n'
        for n in range(10_000)
    )
    with (data / CONFIG).open("a") as stream:
        stream.write("\n".join(tables))
    begin = time.process_time()
    assert problems(data) == []
    assert time.process_time() - begin < 2


def test_the_whole_public_table_of_the_exomes(data: Path) -> None:
    """With a VCF that has all its fields: one warning, about the homozygotes."""
    table = gnomad_exomes(as_published=True)
    words = {"sas": "in samples of South Asian ancestry", "oth": "in samples of uncertain ancestry"}
    infos = "".join(
        f'##INFO=<ID={row.source},Number=A,Type=Integer,Description="{words.get(row.source[-3:], "x")}">\n'
        for row in {row.source: row for row in [*table, *gnomad_exomes()]}.values()
        if row.source != "FILTER"
    )
    text = f"##fileformat=VCFv4.2\n##contig=<ID=1>\n{infos}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    text += "1\t5\t.\tA\tC\t.\tPASS\tAC=1\n"
    indexed(data / "local/exomes.vcf.gz", text, "vcf")
    packages.set_modes(data)
    lists = {"fields": [r.source for r in table], "names": [r.name for r in table], "ops": [r.op for r in table]}
    with (data / CONFIG).open("a") as stream:
        stream.write('[[annotation]]\nfile = "local/exomes.vcf.gz"\n')
        stream.write(
            "".join(f"{key} = {json.dumps(value)}\n" for key, value in lists.items()).replace("GNOMAD", "PUBLIC")
        )
    (found,) = problems(data)
    assert (found.code, found.severity) == ("mapping-odd", "warning")
    assert "PUBLIC_EXOMES__Hom_OTH is made from nhomalt_sas" in found.message
    assert "in samples of South Asian ancestry" in found.message
