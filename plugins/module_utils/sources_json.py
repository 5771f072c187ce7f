# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sources.json``: which version of which package is in a data folder.

Format (ella-anno): one JSON object, package name → ``{"version": scalar, "timestamp": scalar, "vcfanno": [...]}``.
An update replaces the text of single entries: what is not updated keeps every byte, so that a version
written as the number ``1.10`` does not become ``1.1``.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

FILE_NAME = "sources.json"
_SPACE = re.compile(r"[ \t\r\n]*")


class SourcesError(AnnoError):
    """The file is no ``sources.json``."""


class Source(NamedTuple):
    """One entry: its text as it stands in the file, its value, and the texts of ``version`` and ``timestamp``
    (numbers as they are written; None where the key is missing or null)."""

    text: str
    value: dict[str, Any]
    version: str | None
    timestamp: str | None

    @property
    def vcfanno(self) -> list[dict[str, Any]]:
        """The ``[[annotation]]`` tables that belong to the package."""
        tables = self.value.get("vcfanno") or []
        return tables if isinstance(tables, list) else []


def parse(text: str, path: str) -> dict[str, Source]:
    """Read the text of a ``sources.json``; ``path`` is for the error text. Raises SourcesError."""
    try:
        value = json.loads(text, parse_float=_Number, parse_int=_Number)
        spans = _entry_texts(text) if isinstance(value, dict) else {}
        # JSON can write half of a character ("\ud800"), which no file that is made of it can hold.
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise _error(path, "it is nested too deeply") from None
    except UnicodeEncodeError as error:
        raise _error(path, f"it has half of a character: {error.object[error.start]!a}") from None
    except json.JSONDecodeError as error:
        raise _error(path, f"it is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    if not isinstance(value, dict):
        raise _error(path, "it holds no JSON object")
    sources: dict[str, Source] = {}
    for name, entry_text in spans:
        entry = value[name]
        if name in sources:
            raise _error(path, f"the package {name!r} is in it twice")
        if not isinstance(entry, dict):
            raise _error(path, f"the entry {name!r} is no object")
        tables = entry.get("vcfanno")
        if tables is not None and not (isinstance(tables, list) and all(_is_table(t) for t in tables)):
            raise _error(path, f"vcfanno of {name!r} is no list of objects with a file each")
        # Entries are small; read again without _Number, so that vcfanno's columns are plain integers.
        plain = json.loads(entry_text, parse_int=_integer)
        sources[name] = Source(entry_text, plain, _scalar(entry.get("version")), _scalar(entry.get("timestamp")))
    return sources


def render(sources: dict[str, Source]) -> str:
    """The text of a ``sources.json`` with these entries, in their order, each as it was written."""
    if not sources:
        return "{}\n"
    entries = (f"    {json.dumps(name, ensure_ascii=False)}: {source.text}" for name, source in sources.items())
    return "{\n" + ",\n".join(entries) + "\n}\n"


class _Number(str):
    """A JSON number as it is written."""


def _integer(digits: str) -> int | str:
    """int() refuses thousands of digits; no number that is calculated with has so many."""
    return int(digits) if len(digits) < 1000 else digits


def _is_table(table: Any) -> bool:
    file = table.get("file") if isinstance(table, dict) else None
    return isinstance(file, str) and not isinstance(file, _Number)


def _scalar(value: Any) -> str | None:
    if value is None:
        return None
    return str(value) if isinstance(value, str) else json.dumps(value)


def _entry_texts(text: str) -> list[tuple[str, str]]:
    """The entries of the outermost object as (name, text of the value); the text is known to be valid JSON."""
    decoder = json.JSONDecoder(parse_int=str)
    entries = []
    position = _skip(text, _skip(text, 0) + 1)
    while text[position] != "}":
        name, position = decoder.raw_decode(text, position)
        begin = _skip(text, _skip(text, position) + 1)
        end = decoder.raw_decode(text, begin)[1]
        entries.append((name, text[begin:end]))
        position = _skip(text, end)
        if text[position] == ",":
            position = _skip(text, position + 1)
    return entries


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _error(path: str, found: str) -> SourcesError:
    expected = 'a JSON object of packages, {"clinvar": {"version": …, "timestamp": …}, …}'
    return SourcesError(path, found, expected, "Mend the file, or restore it from a copy that is right.")
