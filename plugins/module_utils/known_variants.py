# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small VCF of variants that are known to the annotation tables of packages: made from the tables' own files.

Of each file the first records are read until every field that is mapped has been seen with a value, at most
MAX_RECORDS and MAX_READ. Single-base variants are preferred, since no normalisation changes them.
"""

from __future__ import annotations

import functools
import os
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import annotation_file, tabix, vcf_header
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import Bgzf
from ansible_collections.ousamg.anno.plugins.module_utils.tabix import Index

MAX_RECORDS = 5000
MAX_READ = 16 << 20  # bytes, decompressed
MAX_PICKS = 5  # records of one table

_SINGLE = re.compile("[ACGT]")
_PLAIN = re.compile("[ACGT]{1,50}")
_NO_VALUE = ("", ".")
_COLUMN_FIELDS = {"ID": 2, "FILTER": 6}
_VCF_COLUMNS = 8
_COPYING = ("first", "self")


class Table(NamedTuple):
    """One table of ``sources.json``. ``rows`` are (field or column, name, op)."""

    package: str
    file: str
    rows: tuple[tuple[str, str, str], ...]

    @property
    def names(self) -> list[str]:
        return [name for _, name, _ in self.rows]


class Variant(NamedTuple):
    contig: str
    position: int  # 1-based
    ref: str
    alt: str


class Known(NamedTuple):
    """What is known to a table: ``variants``, and the ``names`` that annotating them must give a value. Without any,
    ``why`` says so. ``values`` are those that the file has, of the names whose op copies a text as it is."""

    table: Table
    variants: tuple[Variant, ...]
    names: tuple[str, ...]
    why: str | None = None
    values: tuple[tuple[str, str], ...] = ()


def tables_of(package: str, tables: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The tables of a package's ``vcfanno`` list; what is no list of texts or numbers counts as none."""
    found = []
    for table in tables:
        fields = _texts(table.get("fields")) or _texts(table.get("columns"))
        names = _texts(table.get("names")) or fields
        ops = _texts(table.get("ops"))
        rows = tuple(zip(fields, names, ops or [""] * len(fields)))
        found.append(Table(package, posixpath.normpath(str(table["file"])), rows))
    return found


def look(data: str, table: Table) -> Known:
    """Variants of one table, from its file below ``data``. Raises ProblemError for a damaged one, or OSError."""
    kind = annotation_file.kind_of(table.file)
    if kind == annotation_file.BAM:
        return Known(table, (), (), "not testable this way: a BAM has no variants")
    path = os.path.join(data, table.file)
    with Bgzf(path, table.file) as file:
        if kind == annotation_file.VCF:
            return _look_vcf(file, table)
        ends = [end for end in annotation_file.INDEXES if os.path.exists(path + end)] or annotation_file.INDEXES[-1:]
        return _look_intervals(file, table, tabix.read(path + ends[0], table.file + ends[0]))


def render(variants: Sequence[Variant]) -> str:
    """A VCF of these variants, sorted, each once, with one sample that has them."""
    ordered = sorted(set(variants), key=lambda v: (_rank(v.contig), v.position, v.ref, v.alt))
    contigs = dict.fromkeys(variant.contig for variant in ordered)
    lines = ["##fileformat=VCFv4.2", '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">']
    lines += [f"##contig=<ID={contig}>" for contig in contigs]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tMINIMAL_TEST")
    lines += [f"{v.contig}\t{v.position}\t.\t{v.ref}\t{v.alt}\t.\tPASS\t.\tGT\t0/1" for v in ordered]
    return "\n".join(lines) + "\n"


def without(vcf: str, names: Collection[str]) -> str:
    """A VCF without its own values of these INFO names: vcfanno leaves a value be where it finds none."""
    lines = []
    for line in vcf.split("\n"):
        columns = line.split("\t")
        if not line.startswith("#") and len(columns) >= _VCF_COLUMNS:
            items = [item for item in columns[7].split(";") if item.partition("=")[0] not in names]
            columns[7] = ";".join(items) or "."
        lines.append("\t".join(columns))
    return "\n".join(lines)


def _look_vcf(file: Bgzf, table: Table) -> Known:
    header = vcf_header.read(file)
    texts = {name for name, info in header.infos.items() if info.type == "String"} - _COLUMN_FIELDS.keys()
    known = _pick(file, header.begin, table, functools.partial(_variant, _SINGLE), _vcf_values, texts)
    if not known.variants:
        known = _pick(file, header.begin, table, functools.partial(_variant, _PLAIN), _vcf_values, texts)
    return known


def _look_intervals(file: Bgzf, table: Table, index: Index) -> Known:
    begin = vcf_header.read(file, index.meta, index.skip).begin

    def variant(columns: Sequence[str]) -> Variant | None:
        try:
            contig, start = columns[index.name_column - 1], int(columns[index.begin_column - 1])
        except (IndexError, ValueError):
            return None
        # What the reference has there is not known, and does not count where an interval is looked up.
        return Variant(contig, start + index.zero_based, "N", "A")

    return _pick(file, begin, table, variant, _column_values)


def _pick(
    file: Bgzf,
    begin: int,
    table: Table,
    variant: Callable[[Sequence[str]], Variant | None],
    values: Callable[[Sequence[str], Sequence[str]], set[str]],
    texts: Set[str] = frozenset(),
) -> Known:
    """The first records that have a value of a field which none before them has. ``texts`` are INFO fields whose values
    vcfanno leaves as they are, when it copies them; of numbers it does not."""
    fields = [field for field, _, _ in table.rows]
    picked: list[Variant] = []
    seen: set[str] = set()
    copied: dict[str, str] = {}
    number = 0
    for number, line in enumerate(_lines(file, begin), 1):
        columns = line.split("\t")
        found = values(columns, fields) - seen
        made = variant(columns) if found else None
        if made is not None:
            picked.append(made)
            seen |= found
            copied |= {field: info_values(columns[7])[field] for field in found & texts}
        if len(picked) == MAX_PICKS or seen.issuperset(fields) or number == MAX_RECORDS:
            break
    # A lua op may well make nothing of a value.
    names = tuple(name for field, name, op in table.rows if field in seen and not op.startswith("lua:"))
    why = (
        None if picked else f"not testable this way: none of its first {number} records is a plain variant with a value"
    )
    kept = tuple((name, copied[field]) for field, name, op in table.rows if field in copied and op in _COPYING)
    return Known(table, tuple(picked), names, why, kept)


def _lines(file: Bgzf, begin: int) -> Iterator[str]:
    """The records from a virtual offset on, as far as MAX_READ reaches."""
    offset, within = begin >> 16, begin & 0xFFFF
    rest, size = b"", 0
    while offset < file.size and size < MAX_READ:
        content, offset = file.block(offset)
        size += len(content)
        *lines, rest = (rest + content[within:]).split(b"\n")
        within = 0
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in lines)
    if rest and offset >= file.size:
        yield rest.decode("utf-8", "replace")


def _variant(base: re.Pattern[str], columns: Sequence[str]) -> Variant | None:
    if len(columns) < _VCF_COLUMNS or not columns[1].isdecimal():
        return None
    contig, position, _, ref, alt = columns[:5]
    ref, alt = ref.upper(), alt.upper()
    return Variant(contig, int(position), ref, alt) if base.fullmatch(ref) and base.fullmatch(alt) else None


def _vcf_values(columns: Sequence[str], fields: Sequence[str]) -> set[str]:
    """Those of the fields that have a value in a record."""
    if len(columns) < _VCF_COLUMNS:
        return set()
    there = set(info_values(columns[7]))
    there |= {name for name, at in _COLUMN_FIELDS.items() if columns[at] not in _NO_VALUE}
    return there.intersection(fields)


def _column_values(columns: Sequence[str], fields: Sequence[str]) -> set[str]:
    return {f for f in fields if f.isdecimal() and 0 < int(f) <= len(columns) and columns[int(f) - 1] not in _NO_VALUE}


def info_values(info: str) -> dict[str, str]:
    """The names that have a value in an INFO column, and the value; a name alone is a flag that is set."""
    found = {}
    for item in info.split(";"):
        name, sign, value = item.partition("=")
        if name not in _NO_VALUE and (not sign or any(part not in _NO_VALUE for part in value.split(","))):
            found[name] = value
    return found


def _rank(contig: str) -> tuple[int, int, str]:
    """1 to 22, then X, Y, MT, then the others."""
    bare = contig[3:] if contig.startswith("chr") else contig
    if bare.isdecimal():
        return 0, int(bare), contig
    return (1, ("X", "Y", "M", "MT").index(bare), contig) if bare in ("X", "Y", "M", "MT") else (2, 0, contig)


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
