# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The members of an archive that count, kept in columns: half a million of them fit where objects would not."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence

from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, FOLDER, HARDLINK, SYMLINK, Member

_KINDS = (FILE, FOLDER, SYMLINK, HARDLINK)
_CODES = {kind: code for code, kind in enumerate(_KINDS)}
_WITH_CONTENT = (_CODES[FILE], _CODES[HARDLINK])
_DIGEST = 16


class MemberTable:
    """Members by name: of those with the same name the last one, in the order of the file."""

    def __init__(self) -> None:
        # Row numbers in the order of the file; the rows of replaced members are left, and nobody asks for them.
        self._rows: dict[str, int] = {}
        self._kinds = bytearray()
        self._sizes, self._times, self._offsets = array("q"), array("q"), array("q")
        self._links: dict[int, str] = {}
        self._md5 = bytearray()
        self._has_md5 = bytearray()

    def add(self, member: Member) -> None:
        name, kind, size, mtime, offset, link, _md5 = member
        # What replaces another one comes after all that came before it.
        self._rows.pop(name, None)
        self._rows[name] = len(self._kinds)
        self._kinds.append(_CODES[kind])
        self._sizes.append(size)
        self._times.append(mtime)
        self._offsets.append(offset)
        if link:
            self._links[len(self._kinds) - 1] = link

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __getitem__(self, name: str) -> Member:
        return self._member(name, self._rows[name])

    def __iter__(self) -> Iterator[Member]:
        for name, row in self._rows.items():
            yield self._member(name, row)

    def get(self, name: str) -> Member | None:
        return self[name] if name in self._rows else None

    def shapes(self) -> Iterator[tuple[str, str, int]]:
        """Name, kind and size of each, for who needs no more."""
        kinds, sizes = self._kinds, self._sizes
        for name, row in self._rows.items():
            yield name, _KINDS[kinds[row]], sizes[row]

    def links(self) -> list[Member]:
        """The symbolic and hard links."""
        if not self._links:
            return []
        return [self._member(name, row) for name, row in self._rows.items() if row in self._links]

    def unchecked(self) -> Iterator[str]:
        """The names of files and hard links that no MD5 was noted for."""
        for name, row in self._rows.items():
            if self._kinds[row] in _WITH_CONTENT and not (self._has_md5 and self._has_md5[row]):
                yield name

    def expect(self, name: str, md5: bytes) -> bool:
        """Note which MD5 a file is to have (16 bytes). False where there is no such file, or another MD5 was noted."""
        row = self._rows.get(name)
        if row is None or self._kinds[row] not in _WITH_CONTENT:
            return False
        if not self._md5:
            self._md5 = bytearray(_DIGEST * len(self._kinds))
            self._has_md5 = bytearray(len(self._kinds))
        begin = _DIGEST * row
        if self._has_md5[row]:
            return self._md5[begin : begin + _DIGEST] == md5
        self._md5[begin : begin + _DIGEST] = md5
        self._has_md5[row] = True
        return True

    def _member(self, name: str, row: int) -> Member:
        md5 = b""
        if self._has_md5 and self._has_md5[row]:
            md5 = bytes(self._md5[_DIGEST * row : _DIGEST * row + _DIGEST])
        kind = _KINDS[self._kinds[row]]
        link = self._links.get(row, "")
        return Member(name, kind, self._sizes[row], self._times[row], self._offsets[row], link, md5)


class Selection:
    """The members in some folders, as often as one asks for them."""

    def __init__(self, members: MemberTable, folders: Sequence[str]) -> None:
        self._members = members
        self._roots = tuple(folder + "/" for folder in folders)

    def __iter__(self) -> Iterator[Member]:
        return (member for member in self._members if (member.name + "/").startswith(self._roots))
