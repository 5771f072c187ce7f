# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data folder as one consistent whole: ``sources.json``, ``vcfanno_config.toml`` and the files on disk.

``inspect`` reads, ``judge`` tells all that is wrong. Nothing is written, no lock is taken, and of a data file no more
is read than its beginning, its end and its index, unless the checksums are asked for.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import (
    annotation_file,
    data_tree,
    mapping_pattern,
    package_check,
    sources_json,
    vcfanno_config,
    vcfanno_rules,
)
from ansible_collections.ousamg.anno.plugins.module_utils.annotation_file import AnnotationFile
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import Contents, FolderError, read_text
from ansible_collections.ousamg.anno.plugins.module_utils.data_tree import Tree
from ansible_collections.ousamg.anno.plugins.module_utils.files import is_there
from ansible_collections.ousamg.anno.plugins.module_utils.generation import RECEIPT, read_receipt
from ansible_collections.ousamg.anno.plugins.module_utils.package_check import Packages
from ansible_collections.ousamg.anno.plugins.module_utils.problems import ERROR, Problem, ordered, problem
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source, SourcesError
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_config import ConfigError

_RESTORE = "Restore it from a copy that is right, or unpack a data archive of all packages."


class Situation(NamedTuple):
    """What was found. ``config`` is None, and ``sources_known`` false, where the file is missing or cannot be read;
    ``problems`` says why. ``files`` are those that the configuration names, by their path below ``data``."""

    data: str
    contents: Contents
    sources_known: bool
    config: Mapping[str, Any] | None
    tree: Tree
    packages: Packages
    files: Mapping[str, AnnotationFile]
    problems: tuple[Problem, ...]


def inspect(data: str) -> Situation:
    """Read a data folder. Raises OSError where there is none, or it cannot be read at all."""
    tree = data_tree.inspect(data)
    problems: list[Problem] = []
    sources = _read_sources(data, problems)
    config = _read_config(data, problems)
    contents = Contents("", sources or {}, "", _records(data))
    names = sorted({posixpath.normpath(table["file"]) for table in _tables(config)})
    packages = package_check.inspect(data, contents, tree, names)
    files = {name: annotation_file.inspect(data, name) for name in names}
    return Situation(data, contents, sources is not None, config, tree, packages, files, tuple(problems))


def judge(situation: Situation, lua: bool = False) -> list[Problem]:
    """Everything that is wrong, errors first. ``lua`` says whether vcfanno is run with a file of Lua functions."""
    problems = [*situation.problems, *data_tree.judge(situation.data, situation.tree)]
    if situation.config is not None:
        problems += judge_config(situation.config, situation.files, lua)
    if situation.sources_known:
        problems += package_check.judge(situation.contents, situation.tree, situation.packages)
        if situation.config is not None:
            known = _tables(situation.config)
            problems += package_check.judge_tables(situation.contents, known, situation.packages)
    return ordered(problems)


def judge_config(config: Mapping[str, Any], files: Mapping[str, AnnotationFile], lua: bool = False) -> list[Problem]:
    """What is wrong with the tables of a configuration and with their files, as far as these are given."""
    tables, problems = vcfanno_rules.judge_tables(config, lua)
    for table in tables:
        file = files.get(posixpath.normpath(table.file)) if table.file else None
        header = file.header if file else None
        problems += mapping_pattern.judge(table, header.infos if header else {})
        if header:
            problems += vcfanno_rules.judge_fields(table, header)
    for file in files.values():
        problems += file.problems
    return problems


def validate(data: str, lua: bool = False, checksums: bool = False, progress: str | None = None) -> dict[str, Any]:
    """Look at a data folder and tell all; the module's result but its message."""
    situation = inspect(data)
    problems = judge(situation, lua)
    if checksums:
        more = package_check.check_sums(data, situation.tree, situation.packages, progress)
        problems = ordered(problems + more)
    return {
        "problems": [{"code": p.code, "severity": p.severity, "path": p.path, "message": p.message} for p in problems],
        "sources": [_source(name, source, situation) for name, source in sorted(situation.contents.sources.items())],
    }


def verdict(problems: list[dict[str, str]], data: str, strict: bool) -> tuple[bool, str]:
    """Whether that is a failure, and a sentence that says so with the first of the problems."""
    errors = sum(found["severity"] == ERROR for found in problems)
    warnings = len(problems) - errors
    if not problems:
        return False, f"{data}: nothing is wrong."
    counts = f"{errors} error{'s' * (errors != 1)} and {warnings} warning{'s' * (warnings != 1)}"
    first = problems[0]
    return bool(errors or strict), f"{data}: {counts}. The first: {first['path']}: {first['message']}"


def _source(name: str, source: Source, situation: Situation) -> dict[str, Any]:
    return {
        "name": name,
        "version": source.version,
        "timestamp": source.timestamp,
        "destination": situation.packages.folders.get(name),
        "tables": len(source.vcfanno),
    }


def _read_sources(data: str, problems: list[Problem]) -> dict[str, Source] | None:
    name = sources_json.FILE_NAME
    text = _read(data, name, "sources", problems)
    if text is None:
        return None
    twice: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _value in pairs]
        twice.extend(key for key in dict.fromkeys(keys) if keys.count(key) > 1)
        return dict(pairs)

    try:
        json.loads(text, object_pairs_hook=note, parse_int=str)
    except (ValueError, RecursionError):
        twice.clear()  # sources_json tells it with line and column
    for key in twice:
        found = f"the key {key!r} is in it twice in the same place: readers take the last one, or the first"
        problems.append(problem("sources-twice", name, found, "each key once", "Remove the wrong one."))
    try:
        return sources_json.parse(text, name)
    except SourcesError as error:
        if not twice:
            problems.append(problem("sources-syntax", name, error.found, error.expected, error.todo))
        return None


def _read_config(data: str, problems: list[Problem]) -> dict[str, Any] | None:
    name = vcfanno_config.FILE_NAME
    text = _read(data, name, "config", problems)
    if text is None:
        return None
    try:
        return vcfanno_config.parse(text, name)
    except ConfigError as error:
        problems.append(problem("config-syntax", name, error.found, error.expected, error.todo))
        return None


def _read(data: str, name: str, what: str, problems: list[Problem]) -> str | None:
    path = os.path.join(data, name)
    try:
        if is_there(path):
            return read_text(path)
        problems.append(problem(f"{what}-missing", name, "there is no such file", f"a {name}", _RESTORE))
    except FolderError as error:
        problems.append(problem(f"{what}-syntax", name, error.found, error.expected, error.todo))
    except OSError as error:
        problems.append(annotation_file.unreadable(name, error))
    return None


def _records(data: str) -> dict[str, Mapping[str, Any]]:
    """The receipt's records by folder; it only helps to tell which folder is which package's."""
    try:
        receipt = read_receipt(data) if os.path.isfile(os.path.join(data, RECEIPT)) else None
    except OSError:
        receipt = None
    return {record["destination"]: record for record in (receipt or {}).get("packages", [])}


def _tables(config: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The ``[[annotation]]`` tables that name a file."""
    tables = (config or {}).get(vcfanno_rules.ANNOTATION)
    candidates = tables if isinstance(tables, list) else []
    return [t for t in candidates if isinstance(t, dict) and isinstance(t.get("file"), str) and t["file"]]
