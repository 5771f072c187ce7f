# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tables of ``vcfanno_config.toml`` vcfanno accepts, and annotates with what they say.

The rules are those of vcfanno 0.3.5, found by running it; it is also the judge of the tests. Where it goes on without a
word and annotates nothing, or something else than the table says, these rules refuse.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.annotation_file import BAM, TABLE, VCF, kind_of
from ansible_collections.ousamg.anno.plugins.module_utils.problems import Problem, listed, problem
from ansible_collections.ousamg.anno.plugins.module_utils.vcf_header import Header
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_config import FILE_NAME

ANNOTATION = "annotation"
POSTANNOTATION = "postannotation"

_LUA = "lua:"
_NUMERIC = frozenset(("max", "mean", "min", "sum", "div2"))
_OPS = frozenset(("self", "first", "concat", "count", "flag", "uniq", "by_alt")) | _NUMERIC
_BAM_OPS = _OPS | {"DP2"}
_POST_ONLY = frozenset(("delete", "setid"))
_POST_OPS = _OPS | _POST_ONLY
_POST_TYPES = ("Float", "Integer", "String", "Flag")
_NUMBERS = ("Integer", "Float")
# Where one record has several values vcfanno stops at a mean.
_SEVERAL = re.compile(r"[RG]|[2-9]|\d\d+")
# Not INFO, and yet known to vcfanno.
_COLUMN_FIELDS = ("ID", "FILTER")
_BAM_COUNTS = ("count", "sum")
# What would break the INFO column of the annotated VCF.
_FORBIDDEN = frozenset(" \t\r\n;=,")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_list_of_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, int) and not isinstance(item, bool) for item in value)


_Checks = Mapping[str, "tuple[Callable[[Any], bool], str]"]
_TEXT = (_is_text, "a text")
_TEXTS = (_is_list_of_text, "a list of texts")
_ANNOTATION_KEYS: _Checks = {
    "file": _TEXT,
    "fields": _TEXTS,
    "columns": (_is_list_of_numbers, "a list of whole numbers"),
    "names": _TEXTS,
    "ops": _TEXTS,
}
_POST_KEYS: _Checks = {"fields": _TEXTS, "op": _TEXT, "name": _TEXT, "type": _TEXT}


class Row(NamedTuple):
    """One name of a table: what it is made from (a field, or a column's number) and how."""

    source: str
    name: str
    op: str


class Table(NamedTuple):
    """A table that was understood. ``label`` says which it is; ``file`` is '' where it names none; ``rows`` is empty
    where it lacks a list. Where its lists are not ``aligned`` (equally long) what a row lacks is ''."""

    label: str
    file: str
    by_column: bool
    rows: tuple[Row, ...]
    aligned: bool = True


def judge_tables(config: Mapping[str, Any], lua: bool) -> tuple[list[Table], list[Problem]]:
    """What can be told without the files: keys, types, lengths, ops and names.

    :param config: the parsed file.
    :param lua: whether vcfanno is run with a file of Lua functions.
    """
    rules = _Rules(lua)
    rules.check_top(config)
    tables = [rules.annotation(number, table) for number, table in _tables(config, ANNOTATION)]
    if not tables:
        todo = "Unpack a data archive of all packages, or restore the file from a copy that is right."
        rules.add("config-empty", "it has no [[annotation]], so nothing would be annotated", "a table per source", todo)
    for number, table in _tables(config, POSTANNOTATION):
        rules.postannotation(number, table)
    return tables, rules.problems


def judge_fields(table: Table, header: Header) -> list[Problem]:
    """What can be told with the file's header: whether its fields and columns are there and go with their ops."""
    rules = _Rules(lua=True)
    if header.vcf and kind_of(table.file) == VCF:
        if table.by_column:
            rules.add_to(table.label, "op-unfit", "it has columns, and its file is a VCF", "fields", "Name the fields.")
        else:
            rules.vcf_fields(table, header)
    elif kind_of(table.file) == TABLE:
        if table.by_column:
            rules.columns(table, header)
        else:
            todo = "Write columns, numbers from 1 on, in place of the fields."
            rules.add_to(table.label, "op-unfit", "it has fields, and its file is no VCF", "columns", todo)
    return rules.problems


def _tables(config: Mapping[str, Any], key: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    tables: Any = config.get(key)
    return enumerate(tables, 1) if _is_list_of_tables(tables) else ()


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


class _Rules:
    """Collects the problems of the tables."""

    def __init__(self, lua: bool) -> None:
        self.problems: list[Problem] = []
        self._lua = lua
        self._names: dict[str, str] = {}  # name → the table that has it

    def add(self, code: str, found: str, expected: str, todo: str) -> None:
        self.problems.append(problem(code, FILE_NAME, found, expected, todo))

    def add_to(self, label: str, code: str, found: str, expected: str, todo: str) -> None:
        self.add(code, f"{label}: {found}", expected, todo)

    def check_top(self, config: Mapping[str, Any]) -> None:
        known = (ANNOTATION, POSTANNOTATION)
        for key, value in config.items():
            if key not in known:
                found = f"vcfanno does not know {key!r} and passes over it, with all that it holds"
                self.add("key-unknown", found, "[[annotation]] and [[postannotation]]", _spelling(key, known))
            elif not _is_list_of_tables(value):
                found = f"{key} is no list of tables"
                self.add("value-type", found, f"tables that begin with [[{key}]]", "Write each under its own header.")

    def annotation(self, number: int, table: Mapping[str, Any]) -> Table:
        label = _label(ANNOTATION, number, table.get("file"))
        values = self._checked(label, table, _ANNOTATION_KEYS)
        file = values.get("file", "")
        if not file and "file" not in self._mistyped:
            todo = "Name the file, or remove the table."
            self.add_to(label, "table-incomplete", "it names no file", "file = …", todo)
        empty = Table(label, file, "columns" in values, ())
        if self._mistyped or not self._complete(label, values, kind_of(file)):
            return empty
        rows = _rows(values)
        aligned = self._aligned(label, values)
        for row in rows:
            if row.op or aligned:
                self._annotation_op(label, row, kind_of(file))
            if row.name or aligned:
                self._name(label, row.name, ())
        return empty._replace(rows=rows, aligned=aligned)

    def _complete(self, label: str, values: Mapping[str, Any], kind: str) -> bool:
        """Whether it has the lists that it needs."""
        sources = [key for key in ("fields", "columns") if key in values]
        needed = ("names",) if kind == BAM else ("ops", "names") if sources == ["columns"] else ("ops",)
        missing = [key for key in needed if not values.get(key)]
        if kind != BAM:
            missing += [key for key in sources if not values[key]]
        if kind == BAM and values.get("fields") and not values.get("ops"):
            missing.append("ops")
        if len(sources) != 1 and not (kind == BAM and not sources):
            found = f"it has {' and '.join(sources) or 'neither fields nor columns'}"
            self.add_to(label, "table-incomplete", found, "either fields (VCF) or columns (BED)", "Write one of them.")
        if missing:
            found = f"it has no {' and no '.join(missing)}"
            self.add_to(label, "table-incomplete", found, "an op and a name for each field", "Complete the table.")
        return not missing and (len(sources) == 1 or (kind == BAM and not sources))

    def _aligned(self, label: str, values: Mapping[str, Any]) -> bool:
        lengths = {key: len(values[key]) for key in ("fields", "columns", "names", "ops") if values.get(key)}
        if len(set(lengths.values())) == 1:
            return True
        found = f"it has {', '.join(f'{length} {key}' for key, length in lengths.items())}"
        todo = "Compare the lists line by line: what is surplus is lost, and what is left out shifts the rest."
        self.add_to(label, "lengths-differ", found, "lists of equal length", todo)
        return False

    def _annotation_op(self, label: str, row: Row, kind: str) -> None:
        known = _BAM_OPS if kind == BAM else _OPS
        if row.op in _POST_ONLY:
            found = f"the op {row.op} is for [[postannotation]] only"
            self.add_to(label, "op-unknown", found, f"one of {_choice(known)}", "Move it to a [[postannotation]].")
        elif row.op == "div2":
            found = f"div2 divides one field by another, and {row.name} is made from one: vcfanno stops there"
            self.add_to(label, "op-unfit", found, "div2 in a [[postannotation]] only", "Move it there.")
        elif kind == BAM and not _suits_bam(row):
            found = f"the op {row.op} does not go with {row.source}: vcfanno stops there"
            expected = "mapq; seq as a text; DP2 with DP2; count or sum with anything else"
            self.add_to(label, "op-unfit", found, expected, "Correct the op.")
        else:
            self._op(label, row.op, known)

    def _op(self, label: str, op: str, known: Iterable[str]) -> None:
        if op.startswith(_LUA) and op != _LUA:
            if not self._lua:
                found = f"the op {op!r} needs a file of Lua functions, and anno runs vcfanno without one"
                todo = "Use another op; or set lua: true where anno is run with -lua."
                self.add_to(label, "lua-missing", found, f"one of {_choice(known)}", todo)
        elif op not in known:
            expected = f"one of {_choice(known)} or lua:<code>"
            self.add_to(label, "op-unknown", f"vcfanno does not know the op {op!r}", expected, _spelling(op, known))

    def _name(self, label: str, name: str, own: Sequence[str]) -> None:
        """``own`` are names that may be written anew: those that a postannotation is made from."""
        if not name or _FORBIDDEN & set(name):
            found = f"{name!r} cannot be the name of an INFO field"
            expected = "a name without spaces and without ; = ,"
            self.add_to(label, "name-invalid", found, expected, "Rename it.")
        elif name in self._names and name not in own:
            found = f"the name {name} is already used in {self._names[name]}: the last one wins"
            self.add_to(label, "name-twice", found, "each name once", "Rename one of them, or remove its field.")
        self._names.setdefault(name, label)

    def postannotation(self, number: int, table: Mapping[str, Any]) -> None:
        label = _label(POSTANNOTATION, number, table.get("name"))
        values = self._checked(label, table, _POST_KEYS)
        name, op = values.get("name", ""), values.get("op", "")
        needed = ("fields", "op") if op == "delete" else ("fields", "op", "name", "type")
        missing = [key for key in needed if not values.get(key) and key not in self._mistyped]
        if missing:
            found = f"it has no {' and no '.join(missing)}"
            self.add_to(label, "table-incomplete", found, "fields, op, name and type", "Complete it, or remove it.")
        if values.get("type") and values["type"] not in _POST_TYPES and op != "delete":
            expected = f"one of {_choice(_POST_TYPES)}"
            todo = _spelling(values["type"], _POST_TYPES)
            self.add_to(label, "value-type", f"its type is {values['type']!r}", expected, todo)
        if op:
            self._op(label, op, _POST_OPS)
        if op == "div2" and len(values.get("fields", "12")) != 2:
            found = f"div2 divides the first of two fields by the second, and it has {len(values['fields'])}"
            self.add_to(label, "op-unfit", found, "two fields", "Correct the fields.")
        if name and op not in _POST_ONLY:
            self._name(label, name, values.get("fields", ()))

    def _checked(self, label: str, table: Mapping[str, Any], checks: _Checks) -> dict[str, Any]:
        """The values of the right type, by their keys."""
        values = {}
        self._mistyped: set[str] = set()
        for key, value in table.items():
            if key not in checks:
                found = f"vcfanno does not know the key {key!r} and passes over it"
                self.add_to(label, "key-unknown", found, f"one of {_choice(checks)}", _spelling(key, checks))
                continue
            is_right, expected = checks[key]
            if is_right(value):
                values[key] = value
            else:
                self._mistyped.add(key)
                self.add_to(label, "value-type", f"{key} is {value!r:.80}", expected, f"Write {expected}.")
        return values

    def vcf_fields(self, table: Table, header: Header) -> None:
        for row in (row for row in table.rows if row.source or table.aligned):
            info = header.infos.get(row.source)
            if info is None and row.source not in _COLUMN_FIELDS:
                near = _spelling(row.source, header.infos)
                found = (
                    f"the header of the file has no INFO field {row.source!r}: vcfanno would say nothing, and "
                    f"{row.name} would be missing from every variant"
                )
                self.add_to(table.label, "field-missing", found, "a field of the file's header", near)
                continue
            kind = info.type if info else "String"
            if row.op in _NUMERIC and kind not in _NUMBERS:
                what = f"of type {kind}" if info else "a text"
                found = f"{row.name} is made with {row.op}, which calculates, and {row.source} is {what}"
                self.add_to(table.label, "op-unfit", found, "a field of numbers", "Use first, self, uniq or concat.")
            elif row.op == "mean" and info and _SEVERAL.fullmatch(info.number):
                found = f"{row.name} is a mean, and each record has several values of {row.source}: vcfanno stops there"
                self.add_to(table.label, "op-unfit", found, "a field of one value", "Use max, min or self.")

    def columns(self, table: Table, header: Header) -> None:
        for row in (row for row in table.rows if row.source):
            number = int(row.source)
            if not 1 <= number <= len(header.first):
                found = f"{row.name} is made from column {number}, and the file has {len(header.first)}"
                self.add_to(table.label, "column-missing", found, "columns counted from 1 on", "Correct the number.")
            elif row.op in _NUMERIC and not _may_be_number(header.first[number - 1]):
                value = f"{header.first[number - 1]!r:.40}"
                found = f"{row.name} is made with {row.op}, which calculates, and column {number} begins with {value}"
                self.add_to(table.label, "op-unfit", found, "a column of numbers", "Use first, self, uniq or concat.")


def _suits_bam(row: Row) -> bool:
    """Whether vcfanno makes something of it: of what it does not know it can only count the reads."""
    if row.source == "DP2" or row.op == "DP2":
        return row.source == row.op
    if row.source == "seq":
        return row.op not in _NUMERIC
    return row.source in ("mapq", "") or row.source.isdigit() or row.op in _BAM_COUNTS


def _rows(values: Mapping[str, Any]) -> tuple[Row, ...]:
    """Without names vcfanno takes the fields'. A BAM may have neither fields nor columns, and its ops may be left out:
    it is counted."""
    names = values.get("names") or values["fields"]
    sources = values.get("fields") or values.get("columns") or [""] * len(names)
    ops = values.get("ops") or ["sum"] * len(names)
    return tuple(Row(str(s), name, op) for s, name, op in itertools.zip_longest(sources, names, ops, fillvalue=""))


def _label(key: str, number: int, name: object) -> str:
    """How a table is called: its number, counted from 1 on, and what it is about."""
    return f"[[{key}]] {number} ({name})" if isinstance(name, str) and name else f"[[{key}]] {number}"


def _may_be_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text in ("", ".")
    return True


def _choice(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _spelling(word: str, known: Iterable[str]) -> str:
    """What to do about a word that is not known."""
    near = [other for other in known if _plain(other) == _plain(word)]
    return f"Write it {listed(near)}." if near else "Correct it, or remove it."


def _plain(word: str) -> str:
    return "".join(letter for letter in word.casefold() if letter.isalnum()).rstrip("s")
