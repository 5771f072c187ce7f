# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a bgzip file that tabix indexes, and its first record: no more of the file is read.

VCF: section 1 of the VCF specification; other tables have a header of lines that begin with a comment character, or
none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import Bgzf
from ansible_collections.ousamg.anno.plugins.module_utils.problems import ProblemError

# Bytes and lines; real ones have less than 1 MB, and a line for each contig, field and command.
MAX_HEADER = 16 << 20
MAX_LINES = 200_000

_FORMAT = re.compile(r"##fileformat=VCFv.+")
_TYPES = "Integer|Float|Flag|String|Character|Unknown"
_FIELD = rf'=<ID=([^,]+),Number=(\d+|[AGR.]),Type=({_TYPES}),Description="'
_INFO = re.compile("##INFO" + _FIELD)
_CONTIG = re.compile(r"##contig=<(?:[^,=]+=[^,]*,)*ID=([^,>]*)>?(?:,[^,=]+=[^,]*)*\Z")
# Which lines vcfanno reads, by how they begin; it refuses the file where one of them is written in another way.
_LINES = (
    ("##INFO", _INFO),
    ("##FORMAT", re.compile("##FORMAT" + _FIELD)),
    ("##FILTER", re.compile(r'##FILTER=<ID=.+?,Description="')),
    ("##contig", _CONTIG),
    ("##SAMPLE", re.compile(r"##SAMPLE=<ID=[^,>]+")),
    ("##PEDIGREE", re.compile("")),
    ("##", re.compile(".*=")),
    ("#CHROM", re.compile("")),
    ("", re.compile("(?!)")),
)


class HeaderError(ProblemError):
    """The file does not begin as vcfanno needs it."""


class Info(NamedTuple):
    """An INFO field as the header of a VCF describes it."""

    number: str
    type: str
    description: str


class Header(NamedTuple):
    """``vcf`` is whether the file says so of itself, and ``strange`` are those of a VCF's header lines that vcfanno
    does not read, each with its number. ``infos`` and ``contigs`` are those that the header names; ``first`` are the
    columns of the first record, and ``begin`` the virtual offset that it begins at."""

    vcf: bool
    strange: tuple[str, ...]
    infos: Mapping[str, Info]
    contigs: frozenset[str]
    first: tuple[str, ...]
    begin: int


def read(file: Bgzf, meta: str = "#", skip: int = 0) -> Header:
    """Read to the end of the first record. ``meta`` and ``skip`` are how the index tells a header line.

    Raises HeaderError, BgzfError or OSError.
    """
    text = bytearray()
    starts: list[tuple[int, int, int]] = []  # of each block: in the text, in the file, its length
    begin = 0  # of the line that is looked at
    lines: list[str] = []
    for offset, content in file.blocks():
        starts.append((len(text), offset, len(content)))
        text += content
        while (end := text.find(b"\n", max(begin, starts[-1][0]))) >= 0:
            line = _line(text[begin:end])
            if not _is_header(line, len(lines), meta, skip):
                return _header(lines, line, _virtual(begin, starts))
            lines.append(line)
            begin = end + 1
        if len(text) > MAX_HEADER or len(lines) > MAX_LINES:
            found = f"after {len(text) / 1e6:.1f} MB and {len(lines)} lines there is still no record, only header"
            todo = "Look at the file with `tabix -H`; make the package anew."
            raise HeaderError(
                "header-endless", file.name, found, f"at most {MAX_HEADER >> 20} MB, {MAX_LINES} lines", todo
            )
    line = _line(text[begin:])
    if line and not _is_header(line, len(lines), meta, skip):
        return _header(lines, line, _virtual(begin, starts))
    found = "it has a header and no record" if text else "it is compressed from nothing"
    raise HeaderError("file-empty", file.name, found, "records to annotate with", "Make the package anew.")


def _line(raw: bytearray) -> str:
    return raw.decode("utf-8", "replace").rstrip("\r")


def _is_header(line: str, number: int, meta: str, skip: int) -> bool:
    return line.startswith(meta) or number < skip


def _header(lines: list[str], first: str, begin: int) -> Header:
    infos, contigs = {}, set()
    for line in lines:
        if info := _INFO.match(line):
            infos[info[1]] = Info(info[2], info[3], line[info.end() :].partition('"')[0])
        elif contig := _CONTIG.match(line):
            contigs.add(contig[1])
    vcf = bool(lines) and lines[0].startswith("##fileformat=VCF") and lines[-1].startswith("#CHROM\t")
    strange = [f"{number}: {line:.60}" for number, line in enumerate(lines, 1) if vcf and not _is_read(line, number)]
    return Header(vcf, tuple(strange), infos, frozenset(contigs), tuple(first.split("\t")), begin)


def _is_read(line: str, number: int) -> bool:
    if number == 1:
        return bool(_FORMAT.match(line))
    pattern = next(pattern for begin, pattern in _LINES if line.startswith(begin))
    match = pattern.match(line)
    # What a quote opens is closed by one, and by a bracket after it; searched from the end, so that no line takes long.
    if match is None or not match[0].endswith('"'):
        return match is not None
    return line.rfind('"', match.end(), max(0, line.rfind(">"))) >= 0


def _virtual(position: int, starts: list[tuple[int, int, int]]) -> int:
    """A position in the text as a virtual offset."""
    for begin, offset, length in reversed(starts):
        if begin <= position < begin + length:
            return offset << 16 | position - begin
    raise AssertionError(position)
