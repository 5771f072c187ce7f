"""Tar archives byte by byte: what GNU tar would not write, and small data archives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Union

Text = Union[str, bytes]
END = bytes(1024)
MTIME = 1_700_000_000
FIFO, CHARACTER, BLOCK_DEVICE, SPARSE, GLOBAL_PAX = b"6", b"3", b"4", b"S", b"g"


def header(
    name: Text,
    size: int | bytes = 0,
    kind: bytes = b"0",
    *,
    link: Text = b"",
    mode: int = 0o644,
    mtime: int | bytes = MTIME,
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
) -> bytes:
    """One header block with its right checksum; ``size`` and ``mtime`` as bytes are written as they are."""
    fields = [
        _bytes(name).ljust(100, b"\0"),
        b"%07o\0" % mode,
        b"%07o\0" % 0,
        b"%07o\0" % 0,
        size if isinstance(size, bytes) else b"%011o\0" % size,
        mtime if isinstance(mtime, bytes) else b"%011o\0" % mtime,
        b" " * 8,
        kind,
        _bytes(link).ljust(100, b"\0"),
        magic,
        bytes(32 + 32 + 8 + 8),
        prefix.ljust(155, b"\0"),
        bytes(12),
    ]
    block = b"".join(fields)
    assert len(block) == 512
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def entry(name: Text, content: Text = b"", kind: bytes = b"0", **fields: Any) -> bytes:
    data = _bytes(content)
    return header(name, fields.pop("size", len(data)), kind, **fields) + padded(data)


def folder(name: Text) -> bytes:
    return entry(_bytes(name) + b"/", kind=b"5", mode=0o755)


def symlink(name: Text, target: Text) -> bytes:
    return entry(name, kind=b"2", link=target)


def hardlink(name: Text, target: Text) -> bytes:
    return entry(name, kind=b"1", link=target)


def long_name(name: Text, kind: bytes = b"L") -> bytes:
    """GNU's header of a long name (``L``) or link target (``K``), to stand before its entry."""
    return entry("././@LongLink", _bytes(name) + b"\0", kind, magic=b"ustar  \0")


def pax(records: Mapping[str, Text], kind: bytes = b"x") -> bytes:
    """A PAX header, to stand before its entry."""
    return entry("PaxHeaders/x", b"".join(pax_record(key, value) for key, value in records.items()), kind)


def pax_record(key: str, value: Text) -> bytes:
    rest = b" " + key.encode() + b"=" + _bytes(value) + b"\n"
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def package(files: Mapping[str, Text], version: str = "1") -> dict[str, bytes]:
    """A package's files by relative path: those given, then their MD5SUM and a DATA_READY."""
    complete = {name: _bytes(content) for name, content in files.items()}
    lines = (f"{md5(content)}  {name}\n" for name, content in complete.items())
    return {
        **complete,
        "MD5SUM": "".join(lines).encode(),
        "DATA_READY": f"timestamp: 2023-11-06 08:00:00\nversion: '{version}'\n".encode(),
    }


def below(place: str, files: Mapping[str, bytes]) -> list[bytes]:
    """The entries of a package in the folder ``place``."""
    return [entry(f"{place}/{name}", content) for name, content in files.items()]


def source(version: Any = "1", *files: str) -> dict[str, Any]:
    """An entry of sources.json, with a vcfanno table for each file."""
    value: dict[str, Any] = {"version": version, "timestamp": "2023-11-06 08:00:00"}
    if files:
        value["vcfanno"] = [{"file": file, "fields": ["A"], "names": ["A"], "ops": ["first"]} for file in files]
    return value


def data_archive(names: Sequence[str], sources: Mapping[str, Any] | Text, entries: Sequence[bytes]) -> bytes:
    """A data archive: sources.json, the entries, PACKAGES and the end."""
    text = sources if isinstance(sources, (str, bytes)) else json.dumps(sources)
    listed = "".join(f"{name}\n" for name in names)
    return b"".join([entry("sources.json", text), *entries, entry("PACKAGES", listed), END])


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text
