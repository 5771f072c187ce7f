# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of tar headers: POSIX ustar, PAX (POSIX.1-2001) and GNU.

It reads headers only and never allocates by what a header claims. What a data archive cannot hold (devices, FIFOs,
sparse files, global PAX headers, names that leave the archive) is an error, not something to pass on, and so is
whatever two readers of tar files could understand in two ways.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.archive_file import ArchiveFile
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError

BLOCK = 512
FILE, FOLDER, SYMLINK, HARDLINK = "file", "folder", "symlink", "hardlink"

# A header of a long name or of PAX records has no business to be larger.
_MAX_EXTENSION = 1 << 20
# Leaves room for the data folder's own path within the 4096 bytes of PATH_MAX.
_MAX_NAME = 1024
_MAX_COMPONENT = 255

_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"1": HARDLINK, b"2": SYMLINK, b"5": FOLDER}
_REFUSED = {
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"S": "a sparse file",
    b"D": "a GNU dump folder",
    b"M": "a continuation of another volume",
    b"V": "a volume label",
    b"g": "a global PAX header",
}
_SETID = 0o6000
# Fields that are not used, but are numbers in a header that is not damaged.
_UNUSED = ((108, 116, "uid"), (116, 124, "gid"), (329, 337, "device number"), (337, 345, "device number"))
_GNU, _USTAR = b"ustar  \0", b"ustar\0"
# The year 2262 in nanoseconds: what 64 bits hold.
_LATEST = (1 << 63) - 1
# Padding is at most a record, which no tar makes larger.
_MAX_PADDING = 64 << 20
# From the mode to the end: an ordinary file with a short name, as GNU tar and Python write it.
_PLAIN_FILE = re.compile(
    rb"000[01][0-7]{3}\0[0-7]{7}\0[0-7]{7}\0([0-7]{11})\0([0-7]{11})\0"  # mode, uid, gid, size, mtime
    rb"([0-7]{6})\0 0\0{100}ustar(?:  \0|\x0000).{64}"  # checksum, type, link, format, user and group
    rb"(?:\0{8}|[0-7]{7}\0){2}\0{167}",  # device numbers, prefix
    re.DOTALL,
)
_REMAKE = "Make the archive anew with ella-anno's `make tar-data`."
_REFETCH = "Fetch the archive again and compare its size and sha256 with the release manifest."


class TarError(AnnoError):
    """The file is no tar that a data archive may be."""


class Member(NamedTuple):
    """One entry. ``name`` and ``link`` are relative paths without ``./`` and without a slash at the end;
    ``offset`` and ``size`` say where its content lies in the tar, in bytes; ``mtime`` is in nanoseconds since 1970, at
    most 2**63 - 1; ``md5`` is what the content should have (16 bytes), empty where nothing says it."""

    name: str
    kind: str
    size: int
    mtime: int
    offset: int
    link: str
    md5: bytes = b""


def read_members(file: ArchiveFile) -> Iterator[Member]:
    """Yield the entries of the archive in the order of the file, and check that the archive ends as it should.

    The content of an entry may be read with ``file.read`` before the next one is asked for.
    Raises TarError for everything that is refused, with the entry's name and the reason, and what the file raises.
    """
    headers = _Headers(file)
    while (member := headers.plain_file() or headers.next_member()) is not None:
        yield member


class _Headers:
    def __init__(self, file: ArchiveFile) -> None:
        self._file = file
        self._position = 0
        self._last_name: bytes | None = None

    @property
    def _last(self) -> str:
        return "the start" if self._last_name is None else _show(self._last_name)

    def plain_file(self) -> Member | None:
        """The next entry, where it is a file of the most frequent kind with nothing odd about it: at a glance, because
        an archive may have half a million of them. None for all else, of which nothing was read then.
        """
        header = self._file.read(self._position, BLOCK)
        match = _PLAIN_FILE.match(header, 100)
        length = header.find(b"\0", 0, 100)
        if match is None or length < 1:
            return None
        raw = header[:length]
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            return None
        if name[0] in "./" or name[-1] == "/" or "/." in name or "//" in name or "\n" in name:
            return None
        octal_size, octal_mtime, octal_sum = match.groups()
        size = int(octal_size, 8)
        offset = self._position + BLOCK
        # The lower half of Adler-32 is 1 and the sum of all bytes modulo 65521; so much is not reached by the bytes
        # here that may be other than 0. In the sum that is stated the checksum's own eight bytes count as spaces.
        total = (zlib.adler32(header) & 0xFFFF) - (zlib.adler32(octal_sum) & 0xFFFF) - 32 + 256
        end = self._file.end
        if b"%06o" % total != octal_sum or (end is not None and offset + size > end):
            return None
        self._position = offset + -(-size // BLOCK) * BLOCK
        self._last_name = raw
        return Member(name, FILE, size, int(octal_mtime, 8) * 10**9, offset, "")

    def next_member(self) -> Member | None:
        extra: dict[str, bytes] = {}
        while True:
            start = self._position
            header = self._read(BLOCK, "a header")
            if not header.strip(b"\0"):
                if extra:
                    raise self._error("an extended header with no entry after it", "an entry", _REFETCH)
                self._check_end()
                return None
            self._check_sum(header, start)
            for begin, end, what in _UNUSED:
                self._number(header[begin:end], what, start)
            flag = header[156:157]
            size = self._number(header[124:136], "size", start)
            if flag in (b"x", b"L", b"K"):
                self._read_extension(flag, size, extra)
                continue
            mtime = self._number(header[136:148], "time", start) * 10**9
            setid = bool(self._number(header[100:108], "mode", start) & _SETID)
            return self._member(header, flag, size, mtime, setid, extra)

    def _member(
        self, header: bytes, flag: bytes, size: int, mtime: int, setid: bool, extra: dict[str, bytes]
    ) -> Member:
        raw = extra.get("path") or _plain_name(header)
        shown = _show(raw)
        if flag in _REFUSED:
            raise self._error(f"the entry {shown} is {_REFUSED[flag]}", "files, folders and links", _REMAKE)
        if flag not in _KINDS:
            raise self._error(f"the entry {shown} has the unknown type {flag!r}", "files, folders and links", _REMAKE)
        self._check_format(header, shown)
        kind = _KINDS[flag]
        if kind == FILE and raw.endswith(b"/"):
            # Before POSIX this was how a folder was written; later kinds of headers have a type for it.
            if flag != b"\0":
                raise self._error(f"the entry {shown} is a file with the name of a folder", "one of both", _REMAKE)
            kind = FOLDER
        # On a folder the setgid bit only hands its group down; modes are not taken from the archive anyway.
        if setid and kind == FILE:
            raise self._error(f"the entry {shown} is setuid or setgid", "data files", _REMAKE)
        if "size" in extra:
            size = self._pax_size(extra["size"], size, shown)
        if kind != FILE and size:
            raise self._error(f"the {kind} {shown} claims {size} bytes of content", "no content", _REMAKE)
        name = self._safe_name(raw)
        link = ""
        if kind == SYMLINK:
            target = extra.get("linkpath") or _text(header[157:257])
            if not target or b"\0" in target or b"\n" in target or len(target) > _MAX_NAME:
                found = f"the symbolic link {shown} has the target {_show(target)}"
                raise self._error(found, f"a target of at most {_MAX_NAME} bytes", _REMAKE)
            link = self._decoded(target)
        elif kind == HARDLINK:
            link = self._safe_name(extra.get("linkpath") or _text(header[157:257]))
        offset = self._position
        self._position = offset + -(-size // BLOCK) * BLOCK
        self._last_name = raw
        end = self._file.end
        if end is not None and offset + size > end:
            raise self._cut_off(offset + size - end)
        if "mtime" in extra:
            mtime = self._pax_time(extra["mtime"], shown)
        return Member(name, kind, size, min(mtime, _LATEST), offset, link)

    def _read(self, count: int, what: str) -> bytes:
        data = self._file.read(self._position, count)
        if len(data) < count:
            end = self._file.end or 0
            if end < self._position:
                raise self._cut_off(self._position - end)
            found = f"it ends after {self._last}, where {what} should be (at byte {end})"
            raise self._error(found, "two blocks of zeros at the end of the archive", _REFETCH)
        self._position += count
        return data

    def _check_end(self) -> None:
        if self._read(BLOCK, "the second block of zeros").strip(b"\0"):
            raise self._error("one block of zeros, then more entries", "two blocks of zeros at the end", _REFETCH)
        end = self._position
        while rest := self._file.read(self._position, 1 << 20):
            if rest.strip(b"\0"):
                found = f"there are data after its end (behind byte {self._position})"
                raise self._error(found, "nothing but zeros", _REFETCH)
            self._position += len(rest)
            if self._position - end > _MAX_PADDING:
                found = f"there are more than {_MAX_PADDING} bytes after its end (byte {end})"
                raise self._error(found, "some zeros at most", _REFETCH)

    def _check_format(self, header: bytes, shown: str) -> None:
        magic = header[257:265]
        # Only ustar has a prefix, and not every reader looks whether it is ustar: in the place of the prefix GNU's
        # incremental backups have times.
        no_prefix = not header[345:500].strip(b"\0")
        if not (magic.startswith(_USTAR) or (no_prefix and (magic == _GNU or not magic.strip(b"\0")))):
            found = f"the header of {shown} is of the unknown format {magic!r}"
            raise self._error(found, "a tar of the format gnu, posix, ustar or v7", _REMAKE)

    def _check_sum(self, header: bytes, start: int) -> None:
        blanked = header[:148] + b" " * 8 + header[156:]
        unsigned = sum(blanked)
        signed = unsigned - 256 * sum(1 for byte in blanked if byte > 127)
        field = header[148:156].strip(b"\0 ")
        try:
            stated = int(field, 8)
        except ValueError:
            stated = -1
        if stated not in (unsigned, signed):
            what = "it is no tar archive" if start == 0 else f"the header after {self._last} is damaged"
            raise self._error(f"{what} (bad checksum at byte {start})", "a tar archive", _REFETCH)

    def _number(self, field: bytes, what: str, start: int) -> int:
        """Octal digits, or GNU's base-256 for what does not fit into them (a file of 8 GiB and more)."""
        if field[0] & 0x80:
            value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big", signed=False)
            if field[0] & 0x40 or value >= 1 << 63:
                raise self._error(f"a header at byte {start} has an impossible {what}", "a number from 0", _REFETCH)
            return value
        digits = field.split(b"\0", 1)[0].strip(b" ")
        if digits.strip(b"01234567"):
            raise self._error(f"a header at byte {start} has the {what} {digits!r}", "octal digits", _REFETCH)
        return int(digits or b"0", 8)

    def _read_extension(self, flag: bytes, size: int, extra: dict[str, bytes]) -> None:
        if size > _MAX_EXTENSION:
            found = f"an extended header after {self._last} claims {size} bytes"
            raise self._error(found, f"at most {_MAX_EXTENSION}", _REMAKE)
        padded = -(-size // BLOCK) * BLOCK
        content = self._read(padded, "the content of an extended header")[:size]
        if flag == b"x":
            self._read_pax(content, extra)
        else:
            self._add("path" if flag == b"L" else "linkpath", content.rstrip(b"\0"), extra)

    def _add(self, key: str, value: bytes, extra: dict[str, bytes]) -> None:
        """Which of two counts is not the same for all readers of tar files."""
        if key in extra:
            found = f"the entry after {self._last} has its {key} in two extended headers"
            raise self._error(found, "one of each", _REMAKE)
        extra[key] = value

    def _read_pax(self, content: bytes, extra: dict[str, bytes]) -> None:
        """Records ``<length> <key>=<value>\\n``, the length counting the whole record in decimal digits."""
        position = 0
        while position < len(content):
            space = content.find(b" ", position, position + 8)
            digits = content[position:space] if space > 0 else b""
            length = int(digits) if digits.isdigit() else 0
            record = content[space + 1 : position + length]
            key, equals, value = record[:-1].partition(b"=")
            if not 0 < length <= len(content) - position or not record.endswith(b"\n") or not equals:
                raise self._error(f"a damaged PAX header after {self._last}", "records of POSIX.1-2001", _REFETCH)
            if key.startswith(b"GNU.sparse"):
                raise self._error(f"a sparse file after {self._last}", "files, folders and links", _REMAKE)
            if key in (b"path", b"linkpath", b"size", b"mtime"):
                self._add(key.decode(), value, extra)
            position += length

    def _pax_size(self, value: bytes, in_header: int, shown: str) -> int:
        if not value.isdigit() or len(value) > 18:
            raise self._error(f"the entry {shown} has the PAX size {value!r}", "decimal digits", _REMAKE)
        size = int(value)
        if in_header not in (0, size):
            found = f"the entry {shown} has two sizes, {in_header} and {size} (PAX)"
            raise self._error(found, "one size", _REMAKE)
        return size

    def _pax_time(self, value: bytes, shown: str) -> int:
        """Seconds with a fraction of up to nine digits, as nanoseconds."""
        seconds, _dot, fraction = value.partition(b".")
        if not seconds.isdigit() or len(seconds) > 11 or (fraction and not fraction.isdigit()):
            raise self._error(f"the entry {shown} has the PAX time {value!r}", "seconds since 1970", _REMAKE)
        return int(seconds) * 10**9 + int(fraction[:9].ljust(9, b"0"))

    def _safe_name(self, raw: bytes) -> str:
        shown = _show(raw)
        if raw.startswith(b"/"):
            raise self._error(f"the entry {shown} has an absolute name", "names below the data folder", _REMAKE)
        if b"\0" in raw or b"\n" in raw:
            raise self._error(f"the entry {shown} has a NUL or a newline in its name", "plain names", _REMAKE)
        parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
        if b".." in parts:
            raise self._error(f"the entry {shown} leads upwards (..)", "names below the data folder", _REMAKE)
        if len(raw) > _MAX_NAME or any(len(part) > _MAX_COMPONENT for part in parts):
            expected = f"at most {_MAX_NAME} bytes, {_MAX_COMPONENT} between slashes"
            raise self._error(f"the entry {shown[:80]}… has too long a name", expected, _REMAKE)
        return self._decoded(b"/".join(parts))

    def _decoded(self, raw: bytes) -> str:
        # MD5SUM, sources.json and what a module returns are UTF-8: a name in another encoding is in none of them.
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self._error(f"the name {_show(raw)} is not UTF-8", "names in UTF-8", _REMAKE) from None

    def _cut_off(self, missing: int) -> TarError:
        found = f"it is cut off in {self._last}: {missing} bytes are missing"
        return self._error(found, "the whole archive", _REFETCH)

    def _error(self, found: str, expected: str, todo: str) -> TarError:
        return TarError(self._file.path, found, expected, todo)


def _plain_name(header: bytes) -> bytes:
    name = _text(header[0:100])
    prefix = _text(header[345:500])
    return prefix + b"/" + name if prefix else name


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _show(raw: bytes) -> str:
    return repr(raw.decode("utf-8", "backslashreplace"))[:200]
