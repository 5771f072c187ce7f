# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Suspicious lines of an annotation table: a name that says something else than the field that it is made from.

vcfanno cannot know what a name means, and a table of 55 fields is copied and edited by hand. A table has a pattern of
its own, though: in ella-anno's gnomAD table ``AC_oth`` is called ``…AC_OTH``, ``AF_oth`` ``…AF_OTH``, and so the
name ``…Hom_OTH`` of ``nhomalt_sas`` breaks it.

Fields and names are compared by their words, without case and order. What both have is the same thing. Of the rest, a
field's word counts that names elsewhere in the table have, or that is translated in another way elsewhere (``nhomalt``
to ``Hom``); and a name's word that fields elsewhere have, or that is the translation of another one. Where there are
both, the name says another thing of the table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.problems import Problem, listed, problem
from ansible_collections.ousamg.anno.plugins.module_utils.vcf_header import Info
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_config import FILE_NAME
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_rules import Row, Table

# More suspicious rows than this in one table are told as one problem.
_MANY = 10
_COMPARE = "Have someone who knows the source compare the two; then correct datasets.json and make the package anew."
_Words = tuple[str, ...]

_WORD = re.compile(r"[A-Za-z0-9]+")
# gnomAD's words for where people come from.
_MEANING = {
    "afr": "African",
    "ami": "Amish",
    "amr": "Latino",
    "asj": "Ashkenazi Jewish",
    "eas": "East Asian",
    "fin": "Finnish",
    "mid": "Middle Eastern",
    "nfe": "non-Finnish European",
    "oth": "other",
    "sas": "South Asian",
}


class _Mismatch(NamedTuple):
    """The words of a field and of its name that do not go together."""

    field: _Words
    name: _Words


def judge(table: Table, infos: Mapping[str, Info]) -> list[Problem]:
    """The suspicious rows of a table; ``infos`` are those of its file, empty where they are not known."""
    if not table.aligned:
        return []  # which name belongs to which field is what has to be found out first
    if table.by_column:
        return _twice(table, table.rows)
    odd = _odd_rows(table.rows)
    told = {row.source for row, _mismatch in odd}
    problems = _twice(table, [row for row in table.rows if row.source not in told])
    if len(odd) > _MANY:
        return [*problems, _shifted(table, [row for row, _mismatch in odd])]
    fields = {_key(_words(name)): name for name in (*infos, *(row.source for row in table.rows))} if odd else {}
    return problems + [_odd(table, row, mismatch, infos, fields) for row, mismatch in odd]


def _odd_rows(rows: Sequence[Row]) -> list[tuple[Row, _Mismatch]]:
    words = [(_words(row.source), _words(row.name)) for row in rows]
    of_fields = {word for field, _name in words for word in field}
    of_names = {word for _field, name in words for word in name}
    # What the names' common prefix says is in all of them, and tells no row from another.
    common = set.intersection(*(set(name) for _field, name in words)) if len(words) > 1 else set()
    rest = [
        (tuple((field - name).elements()), tuple(w for w in (name - field).elements() if w not in common))
        for field, name in words
    ]
    translated = Counter(pair for pair in rest if all(pair))
    # How often each field's words, and each name's, have the others that they have most often.
    usual: tuple[dict[_Words, int], dict[_Words, int]] = ({}, {})
    for pair, count in translated.items():
        for side, words_of in zip(usual, pair):
            side[words_of] = max(count, side.get(words_of, 0))
    found = []
    for row, pair in zip(rows, rest):
        breaking = [
            words_of if side.get(words_of, 0) > max(1, translated[pair]) else () for side, words_of in zip(usual, pair)
        ]
        mismatch = _Mismatch(
            tuple(word for word in pair[0] if word in of_names) or breaking[0],
            tuple(word for word in pair[1] if word in of_fields) or breaking[1],
        )
        if mismatch.field and mismatch.name:
            found.append((row, mismatch))
    return found


def _words(text: str) -> Counter[str]:
    return Counter(word.casefold() for word in _WORD.findall(text))


def _key(words: Counter[str]) -> frozenset[tuple[str, int]]:
    return frozenset(words.items())


def _odd(
    table: Table,
    row: Row,
    mismatch: _Mismatch,
    infos: Mapping[str, Info],
    fields: Mapping[frozenset[tuple[str, int]], str],
) -> Problem:
    """``fields`` are those of the table and its file, by their words."""
    says, holds = _meaning(mismatch.name), _meaning(mismatch.field)
    others = [other.name for other in table.rows if other.source == row.source and other.name != row.name]
    found = f"{table.label}: {row.name} is made from {row.source}: what its readers take for {says} is {holds}"
    if row.source in infos and infos[row.source].description:
        found += f" (the file says of {row.source}: {infos[row.source].description.rstrip('.')})"
    if others:
        found += f"; the same field is called {listed(others)} as well"
    wanted = _wanted(row.source, mismatch, fields, bool(infos))
    expected = f"{wanted}, as the other names of the table are made" if wanted else "a name that says what the field is"
    return problem("mapping-odd", FILE_NAME, found, expected, _COMPARE)


def _shifted(table: Table, odd: Sequence[Row]) -> Problem:
    """So many slips are one: a line that was left out of a list shifts all that follow."""
    examples = listed([f"{row.name} from {row.source}" for row in odd])
    found = f"{table.label}: {len(odd)} of {len(table.rows)} names say something else than their fields: {examples}"
    expected = "that line by line they say the same; are the lists shifted against each other?"
    return problem("mapping-odd", FILE_NAME, found, expected, _COMPARE)


def _wanted(
    field: str, mismatch: _Mismatch, fields: Mapping[frozenset[tuple[str, int]], str], is_known: bool
) -> str | None:
    """The field that the name speaks of, as far as a single word tells; ``is_known`` is whether the file's fields are
    among ``fields``."""
    if len(mismatch.field) != 1 or len(mismatch.name) != 1:
        return None
    wanted = _words(field) - Counter(mismatch.field) + Counter(mismatch.name)
    if is_known or _key(wanted) in fields:
        return fields.get(_key(wanted))
    # No other row has it: as the field is written.
    return re.sub(mismatch.field[0], mismatch.name[0], field, flags=re.IGNORECASE)


def _meaning(words: Sequence[str]) -> str:
    return " ".join(f'"{_MEANING[word]}" ({word})' if word in _MEANING else f'"{word}"' for word in words)


def _twice(table: Table, rows: Iterable[Row]) -> list[Problem]:
    """The same field with another op is another value, the same op gives the same one twice."""
    names: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        names.setdefault((row.source, row.op), []).append(row.name)
    what = "column" if table.by_column else "field"
    return [
        problem(
            "field-twice",
            FILE_NAME,
            f"{table.label}: the {what} {source} is used {len(given)} times in the same way, as {listed(given)}",
            "a field of its own for each name",
            "Correct the field of the name that is wrong, or remove one of them.",
        )
        for (source, _op), given in names.items()
        if len(given) > 1 and source
    ]
