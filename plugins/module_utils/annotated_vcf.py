# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the header of an annotated VCF tells of the files that it was annotated from.

vcfanno 0.3.5 writes every INFO line in the form ``##INFO=<ID=,Number=,Type=,Description="">``, sorted by name and one
per name (of two tables that give the same name the later one counts, and an input's own line is replaced), and at the
end ``##vcfanno=0.3.5``, once per run. The description tells the source:

=========================================  =========================================================================
``self`` or ``first`` of a field of a VCF  the field's own description, nothing for BAM, then `` (from FILE)``
or BAM
the other ops, ``ID`` and ``FILTER``, BED  ``calculated by OP of overlapping values in field NAME (column N) from FILE``
with ``-ends``, names ``left_…``           either of the two, then `` at end left`` (``right``)
``[[postannotation]]``                     ``calculated field: NAME``, of no file
=========================================  =========================================================================

``self`` or ``first`` of a field that the VCF's header does not have is written in the second form, too: so the header
tells that no record has got a value. Of the other ops it does not tell that. FILE is ``file`` of the configuration as
it is written there, with ``-base-path`` and a slash before it unless it is absolute. Quotes and parentheses in a
description (or in lua code) are copied without escapes; a lua op of several lines makes a header that is no VCF.
"""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import re
import stat
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple, cast

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

# Of header text, decompressed. Headers have some hundred kilobytes: a line per INFO name, contig and command.
MAX_HEADER = 64 << 20
_GZIP = b"\x1f\x8b"
_FORMAT = b"##fileformat=VCF"
_CONTIG = b"##contig="
_VCFANNO = b"##vcfanno="
_INFO = b"##INFO="
_COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO".split(b"\t")
# The last pair of quotes encloses the description: those within it are not escaped.
_INFO_LINE = re.compile(r'##INFO=<ID=([^,]+),Number=([^,]+),Type=([^,]+),Description="(.*)"[^"]*>')
_END = re.compile(r" at end (?:left|right)\Z")
# An input's own description may end with "(from the caller)".
_COPIED_FROM = (".gz", ".bgz", ".bam")
_COPYING = ("self", "first")
_NO_INFO = ("ID", "FILTER")

_ANNOTATE_AGAIN = "Annotate the sample again and look at the log of vcfanno."
_SHOWN = 5


class AnnotatedVcfError(AnnoError):
    """The file is no VCF with a complete header, or not annotated from the expected files."""


class Info(NamedTuple):
    """An INFO name with its ``Number`` and ``Type``.

    ``source`` is the file that it was annotated from, None for the input's own and for those calculated from others.
    ``empty``: the source has no such field, so that no record has a value.
    """

    name: str
    number: str
    type: str
    source: str | None
    empty: bool


class Header(NamedTuple):
    """``vcfanno`` is the version that annotated it last, None where none did; ``samples``, ``contigs`` and ``runs`` (of
    vcfanno) are counts: the names of samples are not to come into a log."""

    vcfanno: str | None
    infos: tuple[Info, ...]
    samples: int
    contigs: int
    runs: int

    @property
    def sources(self) -> dict[str, list[str]]:
        """The INFO names by the file that they were annotated from."""
        sources: dict[str, list[str]] = {}
        for info in self.infos:
            if info.source is not None:
                sources.setdefault(info.source, []).append(info.name)
        return sources


class Missing(NamedTuple):
    """An INFO name that was not annotated from the ``file`` it is expected from; ``source`` is where it does come from,
    None where it is not there or from no file; ``reason`` is a clause."""

    file: str
    name: str
    source: str | None
    reason: str


def inspect(path: str, base_path: str | None = None) -> Header:
    """Read the header of a VCF that is plain or compressed with gzip or bgzip; nothing behind it is read.

    :param base_path: the ``-base-path`` of vcfanno, as it was written there (it may be a path in a container): sources
        below it are given relative to it.
    Raises AnnotatedVcfError or OSError.
    """
    vcfanno = None
    infos = []
    contigs = runs = 0
    for number, line in _header_lines(path):
        if line.startswith(_INFO):
            infos.append(_info(_text(line, number, path), number, path, base_path))
        elif line.startswith(_CONTIG):
            contigs += 1
        elif line.startswith(_VCFANNO):
            vcfanno = _text(line[len(_VCFANNO) :], number, path)
            runs += 1
    samples = max(0, len(line.split(b"\t")) - len(_COLUMNS) - 1)
    return Header(vcfanno, tuple(infos), samples, contigs, runs)


def missing(header: Header, expected: Sequence[Mapping[str, Any]]) -> list[Missing]:
    """Which of the expected names were not annotated from their file.

    :param expected: tables as in the ``vcfanno`` lists of ``sources.json``: ``file`` and ``names``, or ``fields`` where
        there are no names; files as in the header's sources.
    Raises AnnotatedVcfError for what is no such table.
    """
    infos = {info.name: info for info in header.infos}
    found = []
    for table in expected:
        file, names = _expected(table)
        for name in names:
            info = infos.get(name)
            if info is None:
                found.append(Missing(file, name, None, "is not in the header"))
            elif info.source != file:
                reason = f"comes from {info.source}" if info.source else "comes from no file"
                found.append(Missing(file, name, info.source, reason))
            elif info.empty:
                found.append(Missing(file, name, file, "has no value, since the file has no such field"))
    return found


def as_error(path: str, absent: Sequence[Missing]) -> AnnotatedVcfError:
    """The error that says of names which :func:`missing` found what is wrong with them."""
    found = "; ".join(f"{item.name} (expected from {item.file}) {item.reason}" for item in absent[:_SHOWN])
    if len(absent) > _SHOWN:
        found += f"; and {len(absent) - _SHOWN} more"
    todo = "Compare sources.json and vcfanno_config.toml of the data folder, and that anno runs with this folder."
    return AnnotatedVcfError(path, found, "these INFO names, annotated from these files", todo)


def _header_lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line without its end; the last one is that of the columns."""
    try:
        # A FIFO would wait for somebody who writes.
        with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as raw:
            if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
                raise AnnotatedVcfError(path, "it is no regular file", "a VCF", "Check the path.")
            compressed = os.pread(raw.fileno(), len(_GZIP), 0) == _GZIP
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw) if compressed else io.BufferedReader(raw))
            yield from _until_columns(stream, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        found = f"its gzip data end too early or are damaged, in the header: {error}"
        raise AnnotatedVcfError(path, found, "a whole file", _ANNOTATE_AGAIN) from None
    except OSError as error:
        error.filename = error.filename or path
        raise


def _until_columns(stream: BinaryIO, path: str) -> Iterator[tuple[int, bytes]]:
    line = stream.readline(len(_FORMAT) + 100)
    if not line.startswith(_FORMAT):
        found = f"it begins with {line[:40]!r}" if line else "it is empty"
        raise AnnotatedVcfError(path, found, f"a VCF, which begins with {_FORMAT.decode()}", "Check the path.")
    number, left = 1, MAX_HEADER - len(line)
    while not line.startswith(_COLUMNS[0]):
        yield number, line.rstrip(b"\r\n")
        line = stream.readline(left)
        number, left = number + 1, left - len(line)
        if left == 0:
            found = f"its header has not ended after {MAX_HEADER} bytes, in line {number}"
            raise AnnotatedVcfError(path, found, f"a header of at most {MAX_HEADER >> 20} MiB", "Look at the file.")
        if not line.startswith(b"#") and line:
            found = f"line {number}, before the #CHROM line, is no header line: {line[:40]!r}"
            raise AnnotatedVcfError(path, found, "lines that begin with #", _ANNOTATE_AGAIN)
        if not line.endswith(b"\n"):
            where = f"in the middle of line {number}" if line else f"after line {number - 1}"
            raise AnnotatedVcfError(path, f"it ends {where}", "a header up to its #CHROM line", _ANNOTATE_AGAIN)
    line = line.rstrip(b"\r\n")
    if line.split(b"\t")[: len(_COLUMNS)] != _COLUMNS:
        found = f"its columns, in line {number}, are {line[:60]!r}"
        raise AnnotatedVcfError(path, found, f"{_COLUMNS} between tabs", "Check the path.")
    yield number, line


def _info(line: str, number: int, path: str, base_path: str | None) -> Info:
    match = _INFO_LINE.fullmatch(line)
    if match is None:
        found = f"line {number} is no INFO line that vcfanno reads or writes: {line[:80]!r}"
        expected = '##INFO=<ID=…,Number=…,Type=…,Description="…"> in this order'
        todo = "Write each lua op of vcfanno_config.toml on one line, or mend what else has written this line."
        raise AnnotatedVcfError(path, found, expected, todo)
    name, count, kind, description = match.groups()
    source, empty = _source(_END.sub("", description))
    return Info(name, count, kind, source and _relative(source, base_path), empty)


def _source(description: str) -> tuple[str | None, bool]:
    """The file of a description, and whether the file lacks the field."""
    if description.startswith("calculated by "):
        calculation, _, rest = description.rpartition(" of overlapping values in ")
        what, _, source = rest.partition(" from ")
        kind, _, field = what.partition(" ")
        copying = calculation[len("calculated by ") :] in _COPYING
        return source or None, copying and kind == "field" and field not in _NO_INFO
    if description.endswith(")"):
        _, marker, source = description[:-1].rpartition(" (from ")
        if marker and source.endswith(_COPIED_FROM):
            return source, False
    return None, False


def _relative(source: str, base_path: str | None) -> str:
    source = posixpath.normpath(source)
    if base_path:
        base = posixpath.normpath(base_path).rstrip("/") + "/"
        if source.startswith(base):
            return source[len(base) :]
    return source


def _expected(table: Mapping[str, Any]) -> tuple[str, list[str]]:
    file, names = table.get("file"), table.get("names") or table.get("fields")
    if not isinstance(file, str) or not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        todo = "Give the vcfanno list of a package in sources.json, or tables like it."
        expected = "tables with file, a text, and names (or fields), a list of texts"
        raise AnnotatedVcfError("expect", f"{dict(table)!r} is no such table", expected, todo)
    return posixpath.normpath(file), names


def _text(line: bytes, number: int, path: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        found = f"line {number} is not UTF-8 (byte {error.start}): {line[:80]!r}"
        todo = "Make the package that the line's description comes from anew, in UTF-8."
        raise AnnotatedVcfError(path, found, "text in UTF-8", todo) from None
