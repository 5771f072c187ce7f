from __future__ import annotations

from pathlib import Path

import pysam
import pytest
from sandbox.vcf import RECORDS, SOURCES, write_bed, write_vcf


@pytest.mark.parametrize("source", SOURCES)
def test_tabix_finds_every_record_of_a_chromosome(tmp_path: Path, source: str) -> None:
    path = tmp_path / "source.vcf.gz"
    write_vcf(path, source, "1")
    with pysam.VariantFile(str(path)) as vcf:
        everything = list(vcf)
        assert len(everything) == RECORDS
        first = everything[0]
        assert set(first.info) == {info.id for info in SOURCES[source].infos}
    with pysam.TabixFile(str(path)) as index:
        for chromosome in ("1", "22", "X"):
            found = [line.split("\t")[1] for line in index.fetch(chromosome)]
            assert found == [str(record.pos) for record in everything if record.chrom == chromosome]
            assert found
        assert len(list(index.fetch("1", first.pos - 1, first.pos))) == 1


def test_same_source_and_version_same_bytes(tmp_path: Path) -> None:
    for name, version in (("a", "1"), ("b", "1"), ("c", "2")):
        write_vcf(tmp_path / name / "clinvar.vcf.gz", "clinvar", version)
    for file in ("clinvar.vcf.gz", "clinvar.vcf.gz.tbi"):
        a, b, c = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert a == b
        assert a != c


def test_bed_is_indexed(tmp_path: Path) -> None:
    path = tmp_path / "regions.bed.gz"
    write_bed(path, [("1", 100, 200, "one"), ("2", 100, 200, "two")])
    with pysam.TabixFile(str(path)) as index:
        assert list(index.fetch("2", 150, 151)) == ["2\t100\t200\ttwo"]
