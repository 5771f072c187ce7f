# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a data folder: one problem, and the codes that there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

ERROR = "error"
WARNING = "warning"

# The codes are a contract: scripts look for them. What each means is in the documentation of data_validate.
_ERRORS = (
    "checksum-mismatch",
    "column-missing",
    "config-empty",
    "config-missing",
    "config-syntax",
    "field-missing",
    "file-damaged",
    "file-empty",
    "file-kind",
    "file-missing",
    "file-name",
    "file-not-bgzip",
    "file-truncated",
    "file-unreadable",
    "file-version",
    "header-endless",
    "header-line",
    "header-missing",
    "index-damaged",
    "index-missing",
    "index-old",
    "index-other",
    "key-unknown",
    "lengths-differ",
    "lua-missing",
    "md5sum-damaged",
    "md5sum-file-missing",
    "name-invalid",
    "name-twice",
    "op-unfit",
    "op-unknown",
    "package-missing",
    "package-version",
    "path-outside",
    "sources-missing",
    "sources-syntax",
    "sources-twice",
    "table-differs",
    "table-incomplete",
    "table-missing",
    "table-unlisted",
    "value-type",
)
_WARNINGS = (
    "field-twice",
    "file-unknown",
    "file-unlisted",
    "link-dangling",
    "link-outside",
    "mapping-odd",
    "md5sum-missing",
    "package-unclear",
    "package-unlisted",
    "package-unready",
    "permissions",
    "table-surplus",
)
SEVERITY = {**dict.fromkeys(_ERRORS, ERROR), **dict.fromkeys(_WARNINGS, WARNING)}


class Problem(NamedTuple):
    """``path`` is below the data folder, '.' for the folder itself."""

    path: str
    code: str
    message: str

    @property
    def severity(self) -> str:
        return SEVERITY[self.code]


class ProblemError(AnnoError):
    """A problem that ends the look at one file; ``code`` is one of SEVERITY."""

    def __init__(self, code: str, path: str, found: str, expected: str, todo: str) -> None:
        super().__init__(path, found, expected, todo)
        self.code = code

    @property
    def problem(self) -> Problem:
        return problem(self.code, self.path, self.found, self.expected, self.todo)


def problem(code: str, path: str, found: str, expected: str, todo: str) -> Problem:
    """A problem in the words of an AnnoError: two clauses and a sentence."""
    return Problem(printable(path), code, printable(f"{found}. Expected: {expected}. What to do: {todo}"))


def printable(text: str) -> str:
    """Names of files may hold control characters, and bytes that are no text."""
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def ordered(problems: list[Problem]) -> list[Problem]:
    """Errors first, then by path, code and text; each once."""
    return sorted(set(problems), key=lambda found: (found.severity, found))


def listed(names: Sequence[str], shown: int = 5) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
