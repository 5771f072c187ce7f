"""Small annotation VCFs as bgzip and tabix make them, the same bytes for the same source and version.

The records are made up; only their form is that of ClinVar, HGMD and gnomAD.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pysam

RECORDS = 300
CHROMOSOMES = (*(str(number) for number in range(1, 23)), "X")


class Info(NamedTuple):
    """One INFO field: its line in the header."""

    id: str
    number: str
    type: str
    description: str


class Source(NamedTuple):
    """What tells one source's VCF from another's."""

    infos: tuple[Info, ...]
    values: Callable[[int], dict[str, str]]
    """The INFO values of a record, from a random number below 2**64."""


def _clinvar(number: int) -> dict[str, str]:
    significance = ("Benign", "Likely_benign", "Uncertain_significance", "Likely_pathogenic", "Pathogenic")
    chosen = significance[number % 5]
    record = {"variant_id": number % 1_000_000, "clinical_significance": chosen, "stars": number % 4}
    # JSON has characters that INFO forbids: it is written as hexadecimal digits.
    return {
        "CLINVARJSON": json.dumps(record).encode().hex(),
        "CLNSIG": chosen,
        "ALLELEID": str(number % 1_000_000),
    }


def _hgmd(number: int) -> dict[str, str]:
    return {
        "CLASS": ("DM", "DM?", "DP", "FP")[number % 4],
        "GENE": f"GENE{number % 500}",
        "RANKSCORE": f"0.{number % 100:02d}",
    }


def _gnomad(number: int) -> dict[str, str]:
    alleles, count = 100_000 + number % 50_000, number % 400
    return {
        "AC": str(count),
        "AN": str(alleles),
        "AF": f"{count / alleles:.6g}",
        "nhomalt": str(count // 50),
        "nhomalt_nfe": str(count // 90),
        "nhomalt_sas": str(count // 150),
    }


_GNOMAD = Source(
    (
        Info("AC", "A", "Integer", "Alternate allele count"),
        Info("AN", "1", "Integer", "Total number of alleles"),
        Info("AF", "A", "Float", "Alternate allele frequency"),
        Info("nhomalt", "A", "Integer", "Count of homozygous individuals"),
        Info("nhomalt_nfe", "A", "Integer", "Count of homozygous individuals, non-Finnish European"),
        Info("nhomalt_sas", "A", "Integer", "Count of homozygous individuals, South Asian"),
    ),
    _gnomad,
)
SOURCES = {
    "clinvar": Source(
        (
            Info("CLINVARJSON", "1", "String", "The ClinVar record as JSON, in hexadecimal digits"),
            Info("CLNSIG", ".", "String", "Clinical significance"),
            Info("ALLELEID", "1", "Integer", "ClinVar allele ID"),
        ),
        _clinvar,
    ),
    "hgmd": Source(
        (
            Info("CLASS", "1", "String", "Mutation category"),
            Info("GENE", "1", "String", "Gene symbol"),
            Info("RANKSCORE", "1", "Float", "Rank score"),
        ),
        _hgmd,
    ),
    "gnomad.exomes": _GNOMAD,
    "gnomad.genomes": _GNOMAD,
}


def vcf_text(source: str, version: str) -> str:
    """The VCF as plain text, sorted by chromosome and position."""
    infos, values = SOURCES[source]
    lines = ["##fileformat=VCFv4.2", f"##source={source} {version} (sandbox)"]
    lines += (f"##contig=<ID={chromosome}>" for chromosome in CHROMOSOMES)
    lines += (
        f'##INFO=<ID={info.id},Number={info.number},Type={info.type},Description="{info.description}">'
        for info in infos
    )
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for index in range(RECORDS):
        chromosome = CHROMOSOMES[index * len(CHROMOSOMES) // RECORDS]
        number = int.from_bytes(hashlib.sha256(f"{source} {version} {index}".encode()).digest()[:8], "big")
        position = 100_000 + 1_000 * index + number % 1_000
        ref = "ACGT"[number % 4]
        alt = "CGTA"[number % 4]
        info = ";".join(f"{name}={value}" for name, value in values(number).items())
        lines.append(f"{chromosome}\t{position}\t{source[0].upper()}{index + 1}\t{ref}\t{alt}\t.\tPASS\t{info}")
    return "\n".join(lines) + "\n"


def write_vcf(path: Path, source: str, version: str) -> None:
    """Write ``path`` (``….vcf.gz``) and its index ``path.tbi``."""
    _write_indexed(path, vcf_text(source, version), "vcf")


def write_bed(path: Path, rows: list[tuple[str, int, int, str]]) -> None:
    """Write ``path`` (``….bed.gz``; chromosome, start, end, name) and its index ``path.tbi``."""
    _write_indexed(path, "".join("\t".join(map(str, row)) + "\n" for row in rows), "bed")


def _write_indexed(path: Path, text: str, preset: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pysam.BGZFile(str(path), "wb") as stream:
        stream.write(text.encode())
    pysam.tabix_index(str(path), preset=preset, force=True)
