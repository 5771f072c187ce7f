"""A healthy data folder to break, and vcfanno itself as the judge of configurations."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from pathlib import Path

import pysam
from ansible_collections.ousamg.anno.plugins.module_utils import data_validate
from ansible_collections.ousamg.anno.plugins.module_utils.problems import Problem
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_rules import Row
from sandbox import packages

VERSIONS: dict[str, packages.Version] = {
    "clinvar": "20230504",
    "hgmd": "2023.1",
    "gnomad": "2.1.1",
    "fasta": "37",
    "seqrepo": "2021-01-29",
    "vep": 105,
}
CONFIG = "vcfanno_config.toml"
CLINVAR = "variantDBs/clinvar/clinvar_20230504.vcf.gz"


def make_data(data: Path) -> None:
    """A data folder of which nothing is wrong."""
    packages.data_folder(data, VERSIONS)
    packages.set_modes(data)


def problems(data: Path, *, lua: bool = False) -> list[Problem]:
    return data_validate.judge(data_validate.inspect(str(data)), lua)


def codes(data: Path, *, lua: bool = False) -> Counter[str]:
    return Counter(found.code for found in problems(data, lua=lua))


def bgzip(path: Path, text: str | bytes) -> None:
    """Compress ``text`` as bgzip does."""
    with pysam.BGZFile(str(path), "wb") as stream:
        stream.write(text if isinstance(text, bytes) else text.encode())


def indexed(path: Path, text: str, preset: str, *, csi: bool = False) -> None:
    bgzip(path, text)
    pysam.tabix_index(str(path), preset=preset, force=True, csi=csi)


def touch_after(index: Path, file: Path) -> None:
    """Make a changed file older than its index, as after a copy with rsync."""
    time = index.stat().st_mtime_ns - 1_000_000_000
    os.utime(file, ns=(time, time))


class Judge:
    """vcfanno, with a file to annotate whose one variant every annotation file of ``data`` has.

    ``data`` holds ``a.vcf.gz`` (INFO AC, AF, S, FL and PAIR), ``b.bed.gz`` (a text in column 4, a number in column 5)
    and ``r.bam``.
    """

    VCF = """\
##fileformat=VCFv4.2
##contig=<ID=1>
##FILTER=<ID=LOW,Description="low">
##INFO=<ID=AC,Number=A,Type=Integer,Description="count">
##INFO=<ID=AF,Number=A,Type=Float,Description="frequency">
##INFO=<ID=S,Number=1,Type=String,Description="text">
##INFO=<ID=FL,Number=0,Type=Flag,Description="flag">
##INFO=<ID=PAIR,Number=2,Type=Integer,Description="two values">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
1\t100\trs1\tA\tC\t.\tLOW\tAC=3;AF=0.5;S=foo;FL;PAIR=6,3
"""

    def __init__(self, top: Path) -> None:
        self.data = top / "data"
        self.data.mkdir(parents=True)
        indexed(self.data / "a.vcf.gz", self.VCF, "vcf")
        indexed(self.data / "b.bed.gz", "1\t50\t200\talu\t5\n", "bed")
        self._write_bam()
        lines = [line for line in self.VCF.splitlines() if "INFO=" not in line]
        (top / "in.vcf").write_text("\n".join(["##fileformat=VCFv4.2", *lines[1:-1], "1\t100\t.\tA\tC\t.\tPASS\t.\n"]))
        self.top = top
        (self.data / "sources.json").write_text("{}\n")
        packages.set_modes(self.data)

    def _write_bam(self) -> None:
        contigs = [{"SN": "1", "LN": 1000}]
        header = pysam.AlignmentHeader.from_dict({"HD": {"VN": "1.6", "SO": "coordinate"}, "SQ": contigs})
        read = pysam.AlignedSegment(header)
        read.query_name, read.reference_id, read.reference_start, read.mapping_quality = "r1", 0, 90, 60
        read.query_sequence, read.cigarstring = "A" * 30, "30M"
        path = str(self.data / "r.bam")
        with pysam.AlignmentFile(path, "wb", header=header) as bam:
            bam.write(read)
        pysam.index(path)

    def vcfanno(self, config: str, name: str = "c.toml") -> tuple[int, str]:
        """What vcfanno does: its exit status, and the INFO of the annotated variant."""
        path = self.top / name
        path.write_text(config)
        command = ["vcfanno", "-p", "1", "-base-path", str(self.data), str(path), str(self.top / "in.vcf")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.top)
        info = [line.split("\t")[7] for line in done.stdout.splitlines() if not line.startswith("#")]
        return done.returncode, info[0] if info else ""

    def ours(self, config: str) -> list[Problem]:
        (self.data / CONFIG).write_text(config)
        (self.data / CONFIG).chmod(0o774)
        return problems(self.data)


_POPULATIONS = ("afr", "amr", "asj", "eas", "fin", "nfe", "oth", "sas")


def gnomad_exomes(*, as_published: bool = False) -> list[Row]:
    """The rows of ella-anno's table for the exomes of gnomAD 2; ``as_published`` with the slip of v2.7.1a."""
    found = _gnomad("GNOMAD_EXOMES__", _POPULATIONS)
    if as_published:
        found = [r._replace(source="nhomalt_sas") if r.name == "GNOMAD_EXOMES__Hom_OTH" else r for r in found]
    return found


def gnomad_genomes() -> list[Row]:
    return _gnomad("GNOMAD_GENOMES__", _POPULATIONS[:-1])


def _gnomad(prefix: str, populations: tuple[str, ...]) -> list[Row]:
    found = [Row("OLD_MULTIALLELIC", f"{prefix}MULTIALLELIC", "flag")]
    for field, name, sexes in (
        ("AC", "AC", ("male", "female")),
        ("AF", "AF", ("male", "female")),
        ("AN", "AN", ("male", "female")),
        ("nhomalt", "Hom", ("male", "female")),
        ("nhemialt", "Hemi", ()),
    ):
        found.append(Row(field, prefix + name, "first"))
        found += [Row(f"{field}_{word}", f"{prefix}{name}_{word.upper()}", "first") for word in populations]
        found += [Row(f"{field}_{word}", f"{prefix}{name}_{word.title()}", "first") for word in sexes]
    return [*found, Row("FILTER", f"{prefix}AS_FilterStatus", "first")]
