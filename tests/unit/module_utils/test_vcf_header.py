"""module_utils/vcf_header.py: INFO fields, contigs and the first record."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import vcf_header
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import Bgzf
from ansible_collections.ousamg.anno.plugins.module_utils.vcf_header import Header, HeaderError, Info
from sandbox.packages import set_modes
from sandbox.vcf import CHROMOSOMES, vcf_text
from support_validate import Judge, bgzip, indexed
from support_vcfanno import needs_vcfanno


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
        '##INFO=<ID=B,Number=.,Type=String,Description="x>y, ID=z",Source="z">',
        '##INFO=<ID=C,Number=10,Type=Float,Description="">',
        "##contig=<length=5,ID=2,assembly=b37>",
    ]
    header = read(path, "##fileformat=VCFv4.2\r\n" + "\r\n".join(lines) + "\r\n#CHROM\tPOS\r\n1\t5\r\n")
    assert header.infos == {"B": Info(".", "String", "x>y, ID=z"), "C": Info("10", "Float", "")}
    assert header.vcf and not header.strange and header.first == ("1", "5") and header.contigs == {"2"}


def _headers() -> dict[str, tuple[str, bool]]:
    """VCFs by the line that they have in place of one or besides the others, and whether vcfanno reads them."""
    info = '##INFO=<ID=AC,Number=A,Type=Integer,Description="count">'
    instead = {
        info: True,
        info[:-1] + ',Source="x",Version="1">': True,
        info + "x": True,
        info.replace("=A,", "=10,"): True,
        info.replace("=A,", "=.,"): True,
        info.replace("Integer", "Unknown"): True,
        info.replace("count", ""): True,
        info.replace("count", 'co"un"t'): True,
        info.replace("ID=AC,Number=A", "Number=A,ID=AC"): False,
        info.replace(",Desc", ',Source="x",Desc'): False,
        info.replace("Number=A,", ""): False,
        info.replace("=A,", "=,"): False,
        info.replace("=A,", "=AA,"): False,
        info.replace("=A,", "=-1,"): False,
        info.replace("=A,", "=X,"): False,
        info.replace("Integer", "Int"): False,
        info.replace('"', ""): False,
        info.replace(",", ", "): False,
        info[:-1]: False,
        info.replace(',Description="count"', ""): False,
    }
    besides = {
        "##contig=<length=5,ID=2>": True,
        "##contig=<ID=2": True,
        "##contig=<ID=2,length=5": True,
        "##contig=<ID=HLA-A*01:01,length=5,assembly=b37>": True,
        "##contig=<ID=2,x>": False,
        '##contig=<ID=2,assembly="a,b">': False,
        "##contig=<>": False,
        "##contig=2": False,
        "##contig=<length=3>": False,
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">': True,
        '##FORMAT=<Number=1,ID=GT,Type=String,Description="g">': False,
        '##FILTER=<ID=x,Description="y",Source="z">': True,
        "##FILTER=<ID=x>": False,
        '##ALT=<ID=DEL,Description="d">': True,
        "##INFO=nothing": False,
        "##INFOS=x": False,
        "##SAMPLE=<ID=x>": True,
        "##SAMPLE=<x>": False,
        "##PEDIGREE=<x>": True,
        "## a=b": True,
        "##bcftools_viewCommand=view x; Date=1": True,
        "##": False,
        "##a b": False,
        "#x=y": False,
    }
    assert info in Judge.VCF
    found = {line: (Judge.VCF.replace(info, line), right) for line, right in instead.items()}
    found |= {line: (Judge.VCF.replace(info, f"{info}\n{line}"), right) for line, right in besides.items()}
    found |= {f: (Judge.VCF.replace("VCFv4.2", f), right) for f, right in {"VCFv4.3": True, "VCF4.2": False}.items()}
    before, record = Judge.VCF[: Judge.VCF.index("1\t100")], Judge.VCF[Judge.VCF.index("1\t100") :].rstrip().split("\t")
    found |= {f"{n} columns": (before + "\t".join(record[:n]) + "\n", n == 8) for n in range(5, 9)}
    return found


@needs_vcfanno
def test_the_lines_that_vcfanno_reads(tmp_path: Path) -> None:
    judge = Judge(tmp_path)
    config = '[[annotation]]\nfile = "a.vcf.gz"\nfields = ["AC"]\nnames = ["X"]\nops = ["first"]\n'
    for line, (text, right) in _headers().items():
        indexed(judge.data / "a.vcf.gz", text, "vcf")
        set_modes(judge.data)
        assert (judge.vcfanno(config) == (0, "X=3")) == right, line
        told = {found.code for found in judge.ours(config)} - {"file-unknown"}
        assert bool(told & {"header-line", "column-missing"}) != right, (line, told)
        assert told == set() or not right, (line, told)


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


@pytest.mark.parametrize(
    "part", ['Description="', ',Number=A,Type=Float,Description="', '"', ">", "a=b,", ',Description="x"']
)
@pytest.mark.parametrize("begin", ["##INFO=<ID=x", "##FILTER=<ID=x", "##contig=<"])
def test_lines_that_are_made_to_hurt(path: Path, begin: str, part: str) -> None:
    line = begin + part * (4_000_000 // len(part))
    started = time.process_time()
    header = read(path, f"##fileformat=VCFv4.2\n{line}\n#CHROM\tPOS\n1\t5\n")
    assert len(header.strange) <= 1
    assert time.process_time() - started < 3


@pytest.mark.parametrize("line", [b"##x\n", b"#"])
def test_a_header_that_never_ends(path: Path, line: bytes) -> None:
    with pytest.raises(HeaderError) as caught:
        read(path, line * (2 * vcf_header.MAX_HEADER // len(line)))
    assert caught.value.code == "header-endless"
