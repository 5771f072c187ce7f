# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One annotation file of vcfanno and its index: whether both are whole and belong together, and what is in the file.

Read are the beginning and the end of the file, and its index: whatever the size of the file, less than 20 MB and the
index.
"""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import tabix, vcf_header
from ansible_collections.ousamg.anno.plugins.module_utils.bgzf import EOF_BLOCK, Bgzf
from ansible_collections.ousamg.anno.plugins.module_utils.errors import failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import is_there
from ansible_collections.ousamg.anno.plugins.module_utils.problems import Problem, ProblemError, listed, problem
from ansible_collections.ousamg.anno.plugins.module_utils.tabix import Index
from ansible_collections.ousamg.anno.plugins.module_utils.vcf_header import Header

VCF = "vcf"
BAM = "bam"
TABLE = "table"
# By these names vcfanno tells a VCF, whatever is in the file.
VCF_ENDS = (".vcf.gz", ".vcf.bgz")
_BAM_END = ".bam"
# vcfanno takes the first one that is there.
INDEXES = (".csi", ".tbi")

_VCF_COLUMNS = 8

_TABIX = "Make the index anew with tabix, after the file."


class AnnotationFile(NamedTuple):
    """What was found. ``header`` is None where there is none that could be read; a BAM has none."""

    kind: str
    header: Header | None
    problems: tuple[Problem, ...]


def kind_of(name: str) -> str:
    """As what vcfanno reads a file of this name."""
    if name.endswith(VCF_ENDS):
        return VCF
    return BAM if name.endswith(_BAM_END) else TABLE


def inspect(data: str, name: str) -> AnnotationFile:
    """Look at the file ``name`` below the folder ``data``. What is wrong is in ``problems``."""
    kind = kind_of(name)
    problems: list[Problem] = []
    header = None
    try:
        _check_place(data, name)
        with Bgzf(os.path.join(data, name), name) as file:
            index = None if kind == BAM else _read_index(data, file, problems)
            file.check_ends()
            if kind == BAM:
                _check_bam(data, file)
            else:
                header = vcf_header.read(file, index.meta, index.skip) if index else vcf_header.read(file)
                problems += _compare(file, header, index)
    except ProblemError as error:
        problems.append(error.problem)
    except OSError as error:
        problems.append(unreadable(name, error))
    return AnnotationFile(kind, header, tuple(problems))


def unreadable(name: str, error: OSError) -> Problem:
    told = failure(error)
    return problem("file-unreadable", name, told["found"], told["expected"], told["todo"])


def _check_place(data: str, name: str) -> None:
    if "\0" in name:
        raise ProblemError("file-missing", name, "no file can have a NUL in its name", "a path", "Correct the name.")
    root = os.path.realpath(data)
    place = os.path.realpath(os.path.join(root, name))
    if os.path.isabs(name) or not place.startswith(root + os.sep):
        found = "its path is absolute" if os.path.isabs(name) else f"it leads out of the data folder, to {place}"
        todo = "Put the file into the data folder, and write its path relative to that."
        expected = "a path that is the same wherever the data folder is mounted"
        raise ProblemError("path-outside", name, found, expected, todo)
    try:
        status = os.stat(place)
    except (FileNotFoundError, NotADirectoryError):
        dangling = is_there(os.path.join(root, name))
        found = f"it is a link to {place}, and there is nothing" if dangling else "there is no such file"
        todo = "Fetch the package again, or remove its tables from vcfanno_config.toml and sources.json."
        expected = "the annotation file that vcfanno_config.toml names"
        raise ProblemError("file-missing", name, found, expected, todo) from None
    if not stat.S_ISREG(status.st_mode):
        raise ProblemError("file-kind", name, "it is no regular file", "a file", "Put the annotation file there.")


def _check_bam(data: str, file: Bgzf) -> None:
    if not file.block(0)[0].startswith(b"BAM\1"):
        raise ProblemError("header-missing", file.name, "it is no BAM", "a BAM", "Fetch the file again.")
    stem = file.name[: -len(_BAM_END)]
    if not any(is_there(os.path.join(data, index)) for index in (f"{file.name}.bai", f"{stem}.bai")):
        todo = "Make it with `samtools index`."
        raise ProblemError("index-missing", f"{file.name}.bai", "there is no such file", "the index of the BAM", todo)


def _read_index(data: str, file: Bgzf, problems: list[Problem]) -> Index | None:
    """The index that vcfanno takes, None where there is none that can be read."""
    for name in (file.name + end for end in INDEXES):
        try:
            status = os.stat(os.path.join(data, name))
        except FileNotFoundError:
            continue
        if status.st_mtime_ns < file.mtime_ns:
            older = (file.mtime_ns - status.st_mtime_ns) / 1e9
            found = f"it is {older:.0f} s older than its file, so it may be that of another version"
            problems.append(problem("index-old", name, found, "an index that was made after its file", _TABIX))
        try:
            return tabix.read(os.path.join(data, name), name)
        except ProblemError as error:
            problems.append(error.problem)
        except OSError as error:
            problems.append(unreadable(name, error))
        return None
    place = file.name + INDEXES[-1]
    problems.append(problem("index-missing", place, "there is no such file", "the index of the file", _TABIX))
    return None


def _compare(file: Bgzf, header: Header, index: Index | None) -> list[Problem]:
    problems = []
    kind = kind_of(file.name)
    if kind == VCF and not header.vcf:
        found = "its name is that of a VCF, and it does not begin with ##fileformat=VCF and end its header with #CHROM"
        problems.append(problem("header-missing", file.name, found, "a VCF", "Make the package anew."))
    if kind == VCF and header.strange:
        found = (
            f"vcfanno stops at lines of its header: {len(header.strange)} (line {'; line '.join(header.strange[:3])})"
        )
        expected = (
            '##INFO=<ID=…,Number=…,Type=…,Description="…"> in this order, ##contig=<ID=…>, ##key=value and the like'
        )
        problems.append(problem("header-line", file.name, found, expected, "Have the package made with such a header."))
    if kind == VCF and header.vcf and len(header.first) < _VCF_COLUMNS:
        found = f"its first record has {len(header.first)} columns: vcfanno stops there"
        problems.append(problem("column-missing", file.name, found, "#CHROM to INFO", "Make the package anew."))
    if kind == TABLE and header.vcf:
        found = "it is a VCF, and vcfanno, which goes by the name, reads it as a table: it would annotate nothing"
        expected = f"a name that ends with {' or '.join(VCF_ENDS)}"
        problems.append(problem("file-name", file.name, found, expected, "Rename it, its index and its tables."))
    why = _why_other(file, header, index) if index else None
    if index and why:
        expected = "the index that was made of this very file"
        problems.append(problem("index-other", index.name, why, expected, _TABIX))
    return problems


def _why_other(file: Bgzf, header: Header, index: Index) -> str | None:
    """Why the index is not that of the file, None where it may be."""
    contig = header.first[0]
    if contig not in index.contigs:
        known = listed(index.contigs) or "none"
        return f"the first record of the file is on {contig}, and the index knows {known}"
    unknown = [name for name in index.contigs if name not in header.contigs]
    if contig in header.contigs and unknown:
        return f"it knows {listed(unknown)}, which the header of the file does not have"
    if index.begin is None or index.end is None:
        return "it leads to no record"
    if index.begin >> 16 > header.begin >> 16:
        return "it leads to a place behind the first record of the file"
    if not _ends_there(file, index.end):
        return "it ends where the file does not"
    return None


def _ends_there(file: Bgzf, end: int) -> bool:
    """Whether there are no records behind a virtual offset: it lies in the last block that is not empty, or behind."""
    offset, within = end >> 16, end & 0xFFFF
    last = file.size - len(EOF_BLOCK)
    if offset >= last:
        return offset == last and within == 0
    try:
        content, after = file.block(offset)
    except ProblemError:
        return False
    return after == last and within == len(content)
