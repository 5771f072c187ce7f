"""module_utils/vcf_header.py: INFO fields, contigs and the first record."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import vcf_header
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import Bgzf
from ansible_collections.ousamg.anno.plugins.module_utils.vcf_header import Header, HeaderError, Info
from sandbox.vcf import CHROMOSOMES, vcf_text
from support_validate import bgzip


def read(path: Path, text: str | bytes, meta: str = "#", skip: int = 0) -> Header:
    bgzip(path, text)
    with Bgzf(str(path), "x.gz") as file:
        return vcf_header.read(file, meta, skip)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.gz"


def test_a_vcf(path: Path) -> None:
    text = vcf_text("gnomad.exomes", "2.1.1")
    header = read(path, text)
    assert header.vcf and header.contigs == set(CHROMOSOMES)
    assert sorted(header.infos) == ["AC", "AF", "AN", "nhomalt", "nhomalt_nfe", "nhomalt_sas"]
    assert header.infos["nhomalt_sas"] == Info("A", "Integer", "Count of homozygous individuals, South Asian")
    assert header.first[0] == "1" and len(header.first) == 8
    assert header.begin == text.index("\n1\t") + 1


def test_info_lines_as_they_come(path: Path) -> None:
    lines = [
        '##INFO=<Description="a, \\"b\\" ID=no",ID=A,Type=Float,Number=1>',
        '##INFO=<ID=B,Number=.,Type=String,Description="x>y",Source="z">',
        "##INFO=<ID=C>",
        "##INFO=nothing",
        "##INFO=<>",
    ]
    header = read(path, "##fileformat=VCFv4.2\r\n" + "\r\n".join(lines) + "\r\n#CHROM\tPOS\r\n1\t5\r\n")
    assert header.infos["B"] == Info(".", "String", "x>y")
    assert header.infos["C"] == Info("", "", "")
    assert header.vcf and header.first == ("1", "5")


def test_a_header_of_many_blocks(path: Path) -> None:
    """As that of a VCF with a contig per transcript."""
    contigs = "".join(f"##contig=<ID=ENST{n:011d}>\n" for n in range(20_000))
    header = read(path, f"##fileformat=VCFv4.2\n{contigs}#CHROM\tPOS\n1\t5\n")
    assert len(header.contigs) == 20_000 and header.first == ("1", "5")
    assert header.begin >> 16 > 0
    with Bgzf(str(path), "x") as file:
        block = file.block(header.begin >> 16)[0]
    assert block[header.begin & 0xFFFF :] == b"1\t5\n"


def test_other_tables(path: Path) -> None:
    assert read(path, "1\t5\t6\tx\n").first == ("1", "5", "6", "x")
    assert read(path, "1\t5\t6\tx").first == ("1", "5", "6", "x")
    assert read(path, "chrom\tstart\n1\t5\n", skip=1).first == ("1", "5")
    assert read(path, "@a\n1\t5\n", meta="@").first == ("1", "5")
    assert not read(path, "#CHROM\tPOS\n1\t5\n").vcf


@pytest.mark.parametrize("text", ["", "##fileformat=VCFv4.2\n#CHROM\tPOS\n", "#"])
def test_no_record(path: Path, text: str) -> None:
    with pytest.raises(HeaderError) as caught:
        read(path, text)
    assert caught.value.code == "file-empty"


@pytest.mark.parametrize("line", [b"##x\n", b"#"])
def test_a_header_that_never_ends(path: Path, line: bytes) -> None:
    with pytest.raises(HeaderError) as caught:
        read(path, line * (2 * vcf_header.MAX_HEADER // len(line)))
    assert caught.value.code == "header-endless"
