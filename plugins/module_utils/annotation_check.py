# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an annotated VCF was annotated with the tables that are expected: its header says from which file each name
comes, and a record has a value. A header line alone proves nothing: vcfanno writes it in any case.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from typing import Callable, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import annotated_vcf
from ansible_collections.ousamg.anno.plugins.module_utils.annotated_vcf import AnnotatedVcfError, Header
from ansible_collections.ousamg.anno.plugins.module_utils.known_variants import Table, info_values

_TICK = 1000  # records
# Bytes of one; those of thousands of samples have some hundred kilobytes.
_MAX_RECORD = 64 << 20


class Expected(NamedTuple):
    """A table, and which of its names must have a value in some record; without ``names`` any one will do. ``values``
    are names with the value that some record must have."""

    table: Table
    names: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()


class Missing(NamedTuple):
    """Names of a package's table that were not annotated from ``file``; ``reason`` is a clause."""

    package: str
    file: str
    names: tuple[str, ...]
    reason: str


def check(
    path: str,
    expected: Sequence[Expected],
    data: str,
    base_path: str | None = None,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Missing]:
    """What is missing from an annotated VCF.

    :param data: the data folder that it must have been annotated from.
    :param base_path: the ``-base-path`` of vcfanno; None: taken from the header. In a container it is another path.
    :param tick: called now and then with the number of records that were read.
    Raises AnnotatedVcfError for what is no annotated VCF, or was annotated from another data folder; OSError.
    """
    header = annotated_vcf.inspect(path)
    base = base_path or _base_path(header, expected)
    if base and os.path.isdir(base) and not os.path.samefile(base, data):
        todo = "Correct the data folder in the inventory, or the one that anno's container has mounted."
        raise AnnotatedVcfError(path, f"it was annotated from the data folder {base}", data, todo)
    header = annotated_vcf.inspect(path, base)
    found: list[Missing] = []
    for item in expected:
        table = {"file": item.table.file, "names": item.table.names}
        by_reason: dict[str, list[str]] = {}
        for absent in annotated_vcf.missing(header, [table]):
            by_reason.setdefault(absent.reason, []).append(absent.name)
        found += [Missing(item.table.package, item.table.file, tuple(n), why) for why, n in by_reason.items()]
    told = {(missing.file, name) for missing in found for name in missing.names}
    return found + _without_values(path, expected, told, tick)


def require_one_run(path: str) -> None:
    """Raise AnnotatedVcfError unless vcfanno annotated it once: values of an input that was annotated before are left
    where vcfanno finds none, under the header of the new run."""
    runs = annotated_vcf.inspect(path).runs
    if runs != 1:
        todo = "Test with a sample whose VCF was not annotated before." if runs else "Look at the log of vcfanno."
        raise AnnotatedVcfError(path, f"vcfanno annotated it {runs} times, by its header", "one time", todo)


def _without_values(
    path: str, expected: Sequence[Expected], told: set[tuple[str, str]], tick: Callable[[int], None]
) -> list[Missing]:
    """Tables of whose names none, or not each that should, has a value, or its value, in any record."""
    wanted = {name for item in expected for name in item.names or item.table.names}
    lost = {pair for item in expected for pair in item.values}
    seen: set[str] = set()
    number = 0
    with open(path, "rb") as stream:
        while line := stream.readline(_MAX_RECORD):
            if len(line) == _MAX_RECORD:
                found = f"its record {number + 1} has not ended after {_MAX_RECORD} bytes"
                raise AnnotatedVcfError(path, found, "records that are lines", "Annotate it again.")
            if line.startswith(b"#"):
                continue
            number += 1
            columns = line.decode("utf-8", "replace").rstrip("\r\n").split("\t", 8)
            values = info_values(columns[7]) if len(columns) > 7 else {}
            seen |= values.keys() & wanted
            # Of several records at one place, vcfanno puts the values together.
            lost -= {(name, value) for name, value in lost if f",{value}," in f",{values.get(name)},"}
            if number % _TICK == 0:
                tick(number)
                if seen == wanted and not lost:
                    break
    missing = []
    for item in expected:
        names = [name for name in item.names or item.table.names if (item.table.file, name) not in told]
        absent = [name for name in names if name not in seen]
        if absent and (item.names or len(absent) == len(names)):
            reason = f"has no value in any of {number} record{'s' * (number != 1)}"
            missing.append(Missing(item.table.package, item.table.file, tuple(absent), reason))
        other = [name for name, value in item.values if (name, value) in lost and name in set(names) & seen]
        if other:
            missing.append(Missing(item.table.package, item.table.file, tuple(other), "has not the value of the file"))
    return missing


def _base_path(header: Header, expected: Sequence[Expected]) -> str | None:
    """What stands before the folders of the expected files."""
    folders = {f"/{posixpath.dirname(item.table.file)}/" for item in expected} - {"//"}
    for source in header.sources:
        for folder in folders:
            base, found, _ = source.partition(folder)
            if found and base:
                return base
    return None
