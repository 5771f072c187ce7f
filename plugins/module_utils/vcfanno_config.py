# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``vcfanno_config.toml``: the ``[[annotation]]`` tables of updated packages replaced, all else kept byte for byte.

The text is cut at its table headers and each piece is read and written with tomlkit on its own. tomlkit on the
whole document would move tables: ``[[annotation]]`` tables that others stand between come out side by side.
"""

from __future__ import annotations

import contextlib
import importlib
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

try:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError
    from tomlkit.items import AoT

    HAS_TOMLKIT = True
except ImportError:  # told to the user when it is needed
    HAS_TOMLKIT = False


def _reader() -> Callable[[str], dict[str, Any]] | None:
    """Python's own TOML reader (3.11), or where it is installed the package that it comes from."""
    for name in ("tomllib", "tomli"):
        with contextlib.suppress(ImportError):
            loads: Callable[[str], dict[str, Any]] = importlib.import_module(name).loads
            return loads
    return None


_fast_loads = _reader()

FILE_NAME = "vcfanno_config.toml"
_KEY = "annotation"
_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)
# Comments and blank lines at the end of a piece stand above the next table and belong to it.
_TAIL = re.compile(r"(?:^[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z))*\Z", re.MULTILINE)

Table = Mapping[str, Any]


class ConfigError(AnnoError):
    """The file is no ``vcfanno_config.toml`` that can be updated."""


class _Piece(NamedTuple):
    """A part of the text from one table header to the next; ``file`` is that of its ``[[annotation]]`` table,
    None for anything else (what stands before the first header, other tables)."""

    text: str
    file: str | None = None


class Update(NamedTuple):
    """One package: the folder whose tables it owns (relative to the data folder), its new tables, and the files
    that its former tables named, wherever they lie."""

    destination: str
    tables: Sequence[Table]
    former: Sequence[str] = ()


def parse(text: str, path: str) -> dict[str, Any]:
    """All that the file says, as plain values; ``path`` is for error texts. Raises ConfigError with line and column.

    With tomllib (Python 3.11) or tomli where there is one: they are ten times as fast as tomlkit.
    """
    if _fast_loads is None:
        _require_tomlkit(path)
        return _check(text, path).unwrap()
    try:
        return _fast_loads(text)
    except (ValueError, RecursionError) as error:
        raise _syntax_error(path, str(error).replace("at end of document", f"at its end, {_end_of(text)}")) from None


def rebuild(text: str, updates: Sequence[Update], path: str) -> str:
    """The text with each update's tables in place of those whose ``file`` lies in its destination.

    :param text: the present content, empty where there is no file yet.
    :param path: for error texts.
    Tables are replaced in place, in their order; new ones follow the package's last one, or the end of the file.
    The same update twice gives the same text. Raises ConfigError for what is not TOML, with line and column, and for
    a table that could not be written, or not be read again.
    """
    pieces = _cut(text, path)
    for update in updates:
        for table in update.tables:
            _check_table(table, path)
        pieces = _replace(pieces, update)
    return "".join(piece.text for piece in pieces)


def _cut(text: str, path: str) -> list[_Piece]:
    """Cut before every table header. A piece that is no TOML by itself ends within an array or a string whose next
    line merely begins with a bracket: it is joined with what follows."""
    _require_tomlkit(path)
    _check(text, path)
    ends = [*(match.start() for match in _HEADER.finditer(text) if match.start() > 0), len(text)]
    pieces: list[_Piece] = []
    begin = 0
    for end in ends:
        piece = text[begin:end]
        try:
            tables = tomlkit.parse(piece).get(_KEY)
        except TOMLKitError:
            continue
        begin = end
        if tables is None:
            pieces.append(_Piece(piece))
        elif isinstance(tables, AoT):
            pieces.append(_Piece(piece, str(tables[0].get("file", ""))))
        else:
            # It would become a part of another table when the one above it is removed.
            found = f"it has a table below {_KEY}: {piece.strip().splitlines()[0]}"
            raise ConfigError(path, found, f"[[{_KEY}]] tables of plain values, as vcfanno reads them", "Remove it.")
    return pieces


def _replace(pieces: list[_Piece], update: Update) -> list[_Piece]:
    folder = posixpath.normpath(update.destination) + "/"
    former = {posixpath.normpath(file) for file in update.former}
    waiting = list(update.tables)
    result: list[_Piece] = []
    last = -1
    for piece in pieces:
        file = None if piece.file is None else posixpath.normpath(piece.file)
        if file is None or not (file.startswith(folder) or file in former):
            result.append(piece)
        elif waiting:
            result.append(_updated(piece, waiting.pop(0)))
            last = len(result) - 1
        else:
            tail = _split_tail(piece.text)[1]
            result.append(_Piece(tail if "#" in tail else ""))
    if not waiting:
        return result
    new = [_written(table) for table in waiting]
    if last == -1:
        return [*_ended(result), *new]
    body, tail = _split_tail(result[last].text)
    before = [*result[:last], _Piece(body, result[last].file)]
    return [*_ended(before), *new, _Piece(tail), *result[last + 1 :]]


def _updated(piece: _Piece, table: Table) -> _Piece:
    """The piece with the table's values. Values that are the same keep their formatting and comments."""
    body, tail = _split_tail(piece.text)
    document = tomlkit.parse(body)
    old: Any = document[_KEY][0]
    for key in [key for key in old if key not in table]:
        del old[key]
    for key, value in table.items():
        if key not in old or old[key] != value:
            old[key] = value
    return _Piece(tomlkit.dumps(document) + tail, str(table["file"]))


def _written(table: Table) -> _Piece:
    document = tomlkit.document()
    array = tomlkit.aot()
    array.append(tomlkit.item(dict(table)))
    document.add(_KEY, array)
    return _Piece("\n" + tomlkit.dumps(document), str(table["file"]))


def _ended(pieces: list[_Piece]) -> list[_Piece]:
    """The pieces, the last of them ending with a newline."""
    if pieces and pieces[-1].text and not pieces[-1].text.endswith("\n"):
        return [*pieces[:-1], pieces[-1]._replace(text=pieces[-1].text + "\n")]
    return pieces


def _split_tail(text: str) -> tuple[str, str]:
    match = _TAIL.search(text)
    begin = match.start() if match else len(text)
    return text[:begin], text[begin:]


def _require_tomlkit(path: str) -> None:
    if not HAS_TOMLKIT:
        found = "the Python package tomlkit, which reads it, is not there"
        raise ConfigError(path, found, "tomlkit 0.13 or newer", "Install tomlkit for the Python of this host.")


def _end_of(text: str) -> str:
    lines = text.split("\n")
    return f"line {len(lines)}, column {len(lines[-1]) + 1}"


def _syntax_error(path: str, why: str) -> ConfigError:
    todo = "Mend the file, or restore it from a copy that is right."
    return ConfigError(path, f"it is not TOML: {why}", "TOML with [[annotation]] tables", todo)


def _check_table(table: Table, path: str) -> None:
    """Each value is plain: TOML has no null, and makes of an object a table of its own, which :func:`_cut` refuses."""
    for key, value in table.items():
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, (str, int, float)):
                kind = "null" if item is None else "a list in a list" if isinstance(item, list) else "an object"
                found = f"a table for {table['file']} cannot be written: its {key} is or holds {kind}"
                todo = "Mend the vcfanno list of the package in sources.json; make the package and the archive anew."
                raise ConfigError(path, found, "text, numbers and lists of them", todo)


def _check(text: str, path: str) -> tomlkit.TOMLDocument:
    """The file as tomlkit reads it."""
    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        # tomlkit reads a NUL where the text ends within a value.
        ended = repr("\0") in str(error) and "\0" not in text
        why = f"it ends in the middle of a value, {_end_of(text)}" if ended else str(error)
        raise _syntax_error(path, why) from None
    tables = document.get(_KEY)
    if tables is not None and not isinstance(tables, AoT):
        found = f"{_KEY} is written as one inline array"
        raise ConfigError(path, found, f"tables that begin with [[{_KEY}]]", "Write each table under its own header.")
    return document
