# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version tags of the anno system: ``vM.m.p``, a letter for a data-only release, ``-rc`` for a release candidate.

Order: ``v2.7.1-rc < v2.7.1-rc2 < v2.7.1 < v2.7.1a < v2.7.1b < v2.7.2``.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

KINDS = ("major", "minor", "patch", "data")
_NUMBER = "(0|[1-9][0-9]{0,8})"
TAG_PATTERN = rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}([a-z]?)(-rc(?:[1-9][0-9]{{0,8}})?)?"
_TAG = re.compile(TAG_PATTERN)
# A tag within a longer name. What follows must not make it another version: v3.2.0.1, v3.2.0-rc.1, or
# v3.2.0-5-g1a2b3c4 (git describe: five commits after the tag).
_TAG_WITHIN = re.compile(rf"(?<![0-9A-Za-z.]){TAG_PATTERN}(?![0-9A-Za-z]|\.[0-9]|-rc|-[0-9]+-g[0-9a-f])")
_CANDIDATE = "-rc"


class VersionError(AnnoError):
    """Text that is no version tag, or a tag that has no successor of the kind asked for."""


@functools.total_ordering
@dataclass(frozen=True)
class AnnoVersion:
    """A version tag; ``letter`` is empty without one; ``candidate`` is None for a release, else its number or 0."""

    major: int
    minor: int
    patch: int
    letter: str = ""
    candidate: int | None = None

    @classmethod
    def parse(cls, text: str) -> AnnoVersion:
        """Read a tag. Raises VersionError for anything else, spaces around it included."""
        match = _TAG.fullmatch(text)
        if match is None:
            expected = "a tag like v2.7.1, v2.7.1a (data only) or v2.7.1-rc2 (release candidate)"
            raise VersionError(repr(text[:80]), "is no version tag", expected, "Give the tag as anno-targets has it.")
        major, minor, patch, letter, candidate = match.groups()
        number = None if candidate is None else int(candidate[len(_CANDIDATE) :] or 0)
        return cls(int(major), int(minor), int(patch), letter, number)

    @property
    def kind(self) -> str:
        """What the number alone says: ``data``, ``patch``, ``minor`` or ``major``."""
        if self.letter:
            return "data"
        if self.patch:
            return "patch"
        return "minor" if self.minor else "major"

    @property
    def sort_key(self) -> tuple[int, int, int, str, bool, int]:
        """Sorts as the versions do."""
        return (self.major, self.minor, self.patch, self.letter, self.candidate is None, self.candidate or 0)

    def bump(self, kind: str) -> AnnoVersion:
        """The next release of this kind; of a release candidate of the same kind, the release itself.

        Raises VersionError for an unknown kind, after the letter z, and for data on top of a release candidate.
        """
        if kind not in KINDS:
            raise VersionError(f"bump of {self}", f"the kind is {kind!r}", " or ".join(KINDS), "Correct the kind.")
        if kind == "data":
            return AnnoVersion(self.major, self.minor, self.patch, self._next_letter())
        release = AnnoVersion(self.major, self.minor, self.patch, self.letter)
        if self.candidate is not None and release.kind == kind:
            return release
        if kind == "major":
            return AnnoVersion(self.major + 1, 0, 0)
        if kind == "minor":
            return AnnoVersion(self.major, self.minor + 1, 0)
        return AnnoVersion(self.major, self.minor, self.patch + 1)

    def _next_letter(self) -> str:
        where = f"bump of {self}"
        if self.candidate is not None:
            expected = "a release, which new data can follow"
            raise VersionError(where, "it is a release candidate", expected, "Release it first.")
        if self.letter == "z":
            expected = "a letter from a to y, which another can follow"
            raise VersionError(where, "no letter comes after z", expected, "Make the next one a patch release.")
        return chr(ord(self.letter) + 1) if self.letter else "a"

    def __str__(self) -> str:
        candidate = "" if self.candidate is None else f"{_CANDIDATE}{self.candidate or ''}"
        return f"v{self.major}.{self.minor}.{self.patch}{self.letter}{candidate}"

    def __lt__(self, other: AnnoVersion) -> bool:
        return self.sort_key < other.sort_key


def versions_in(name: str) -> list[AnnoVersion]:
    """The different version tags within a name (``anno-targets_v3.2.0.sif``), sorted."""
    return sorted({AnnoVersion.parse(match.group()) for match in _TAG_WITHIN.finditer(name)})
