"""module_utils/annotation_file.py: a file and its index, whole and made for each other."""

from __future__ import annotations

import gzip
import os
import shutil
from collections import Counter
from pathlib import Path

import pysam
import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import annotation_file
from ansible_collections.ousamg.anno.plugins.module_utils.annotation_file import BAM, TABLE, VCF
from sandbox.vcf import vcf_text
from support_validate import Judge, bgzip, indexed
from support_vcfanno import needs_vcfanno


def codes(data: Path, name: str) -> Counter[str]:
    return Counter(problem.code for problem in annotation_file.inspect(str(data), name).problems)


def test_kinds_go_by_the_name() -> None:
    kinds = {name: annotation_file.kind_of(name) for name in ("a.vcf.gz", "a.vcf.bgz", "a.bam", "a.bed.gz", "a.vcf")}
    assert kinds == {"a.vcf.gz": VCF, "a.vcf.bgz": VCF, "a.bam": BAM, "a.bed.gz": TABLE, "a.vcf": TABLE}


def test_whole_files(tmp_path: Path) -> None:
    data = Judge(tmp_path).data
    for name in ("a.vcf.gz", "b.bed.gz", "r.bam"):
        assert codes(data, name) == Counter(), name
    (data / "r.bam.bai").rename(data / "r.bai")
    assert codes(data, "r.bam") == Counter()
    (data / "r.bai").unlink()
    assert codes(data, "r.bam") == Counter({"index-missing": 1})
    shutil.copy(data / "b.bed.gz", data / "r.bam")
    assert codes(data, "r.bam") == Counter({"header-missing": 1})


@pytest.mark.parametrize("extra", [1, 10, 5000])
def test_the_index_of_another_version(tmp_path: Path, extra: int) -> None:
    """The records of a source grow, its contigs stay: only where the index ends tells."""
    text = vcf_text("clinvar", "1")
    last = text.splitlines()[-1].split("\t")
    more = "".join("\t".join([last[0], str(int(last[1]) + n), *last[2:]]) + "\n" for n in range(1, extra + 1))
    old, new = tmp_path / "old.vcf.gz", tmp_path / "new.vcf.gz"
    indexed(old, text, "vcf")
    indexed(new, text + more, "vcf")
    assert codes(tmp_path, "new.vcf.gz") == codes(tmp_path, "old.vcf.gz") == Counter()
    shutil.copy(f"{old}.tbi", f"{new}.tbi")
    assert codes(tmp_path, "new.vcf.gz") == Counter({"index-other": 1})
    indexed(new, text + more, "vcf")
    shutil.copy(f"{new}.tbi", f"{old}.tbi")
    assert codes(tmp_path, "old.vcf.gz") == Counter({"index-other": 1})


def test_the_index_of_another_genome(tmp_path: Path) -> None:
    text = vcf_text("clinvar", "1")
    path = tmp_path / "x.vcf.gz"
    indexed(path, text, "vcf")
    saved = shutil.copy(f"{path}.tbi", tmp_path / "saved")
    indexed(path, text.replace("##contig=<ID=", "##contig=<ID=chr").replace("\n1\t", "\nchr1\t"), "vcf")
    shutil.copy(saved, f"{path}.tbi")
    (found,) = annotation_file.inspect(str(tmp_path), path.name).problems
    assert found.code == "index-other"
    assert "first record of the file is on chr1, and the index knows 1, 2, 3, 4, 5 and 18 more" in found.message


def test_contigs_that_the_header_does_not_have(tmp_path: Path) -> None:
    """A file cut down to its first chromosome, with its former index."""
    text = vcf_text("clinvar", "1")
    path = tmp_path / "x.vcf.gz"
    indexed(path, text, "vcf")
    saved = shutil.copy(f"{path}.tbi", tmp_path / "saved")
    lines = [line for line in text.splitlines() if line.startswith(("#", "1\t"))]
    indexed(path, "\n".join(line for line in lines if "contig" not in line or "<ID=1>" in line) + "\n", "vcf")
    shutil.copy(saved, f"{path}.tbi")
    (found,) = annotation_file.inspect(str(tmp_path), path.name).problems
    assert (found.code, "it knows 2, 3, 4, 5, 6 and 17 more" in found.message) == ("index-other", True)


def test_the_index_goes_first_that_vcfanno_takes(tmp_path: Path) -> None:
    path = tmp_path / "x.vcf.gz"
    indexed(path, vcf_text("clinvar", "1"), "vcf")
    bgzip(Path(f"{path}.csi"), b"nothing")
    assert codes(tmp_path, "x.vcf.gz") == Counter({"index-damaged": 1})


def test_problems_of_the_file_do_not_hide_those_of_its_index(tmp_path: Path) -> None:
    path = tmp_path / "x.vcf.gz"
    indexed(path, vcf_text("clinvar", "1"), "vcf")
    path.write_bytes(path.read_bytes()[:1000])
    Path(f"{path}.tbi").unlink()
    assert codes(tmp_path, "x.vcf.gz") == Counter({"file-truncated": 1, "index-missing": 1})


@needs_vcfanno
def test_the_files_that_vcfanno_rejects(tmp_path: Path) -> None:
    """Each in place of the VCF or its index; what it takes nevertheless, a missing end, is an error as well."""
    judge = Judge(tmp_path)
    config = '[[annotation]]\nfile = "a.vcf.gz"\nfields = ["AC"]\nnames = ["X"]\nops = ["first"]\n'
    file, index = judge.data / "a.vcf.gz", judge.data / "a.vcf.gz.tbi"
    whole, whole_index = file.read_bytes(), index.read_bytes()
    assert judge.vcfanno(config) == (0, "X=3") and not [p for p in judge.ours(config) if p.severity == "error"]
    rejected = 0
    for path, content in (
        (file, b""),
        (file, gzip.compress(gzip.decompress(whole))),
        (file, gzip.decompress(whole)),
        (file, whole[:100]),
        (file, whole[:-28]),
        (file, whole[:50] + bytes(10) + whole[60:]),
        (index, b""),
        (index, whole_index[:40]),
        (index, gzip.decompress(whole_index)),
        (index, (judge.data / "b.bed.gz.tbi").read_bytes()),
        (index, (judge.data / "r.bam.bai").read_bytes()),
    ):
        path.write_bytes(content)
        os.utime(index)
        rejected += judge.vcfanno(config)[0] != 0
        assert [problem for problem in judge.ours(config) if problem.severity == "error"], content[:50]
        file.write_bytes(whole)
        index.write_bytes(whole_index)
    assert rejected == 10


def test_appended_bgzip_files_are_whole(tmp_path: Path) -> None:
    """As `cat a.gz b.gz` makes them, with an empty block in the middle."""
    path = tmp_path / "x.bed.gz"
    parts = []
    for number in (1, 2):
        bgzip(path, f"{number}\t5\t6\tx\n")
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    pysam.tabix_index(str(path), preset="bed", force=True)
    assert codes(tmp_path, "x.bed.gz") == Counter()


@pytest.mark.parametrize("name", ["../x.vcf.gz", "/etc/passwd", "a/../../x.vcf.gz"])
def test_paths_that_lead_out(tmp_path: Path, name: str) -> None:
    assert codes(tmp_path, name) == Counter({"path-outside": 1})
