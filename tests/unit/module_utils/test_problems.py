"""module_utils/problems.py: the codes, and the order in which problems are told."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ansible_collections.ousamg.anno.plugins.module_utils.problems import (
    SEVERITY,
    ProblemError,
    listed,
    ordered,
    problem,
)

MODULE = Path(__file__).resolve().parents[3] / "plugins/modules/data_validate.py"


def test_every_code_is_documented_with_its_severity() -> None:
    documented = re.findall(r'- "V\(([a-z0-9-]+)\) \((error|warning)\): .+', MODULE.read_text())
    assert len(documented) == len(dict(documented))
    assert dict(documented) == SEVERITY


def test_the_codes_of_the_sources_are_those() -> None:
    """A code that is not in the list would raise only when its problem comes up."""
    sources = "".join(path.read_text() for path in (MODULE.parents[1] / "module_utils").glob("*.py"))
    assert all(f'"{code}"' in sources for code in SEVERITY)


def test_errors_come_first_each_once() -> None:
    warning = problem("permissions", ".", "found", "expected", "Do it.")
    error = problem("file-empty", "x", "found", "expected", "Do it.")
    other = problem("file-empty", "a", "found", "expected", "Do it.")
    assert ordered([warning, error, other, error]) == [other, error, warning]
    assert (warning.severity, error.severity) == ("warning", "error")
    assert error.message == "found. Expected: expected. What to do: Do it."


def test_an_error_becomes_a_problem() -> None:
    error = ProblemError("file-empty", "x", "found", "expected", "Do it.")
    assert error.problem == problem("file-empty", "x", "found", "expected", "Do it.")


def test_names_that_no_terminal_should_see() -> None:
    found = problem("file-missing", os.fsdecode(b"a\xff\n"), "\x1b[2J", "æøå …", "Do it.")
    assert found == ("a\\udcff\\n", "file-missing", "\\x1b[2J. Expected: æøå …. What to do: Do it.")


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"
