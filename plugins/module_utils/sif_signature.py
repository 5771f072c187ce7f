# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signatures in a Singularity image, as far as they can be told without a key: what each covers, and whether that
is what was signed.

The digests in a signature find every changed byte of what it covers, without a manifest. They are no proof of who made
the image: that takes the signer's public key, and Singularity (:mod:`singularity`).

Format: https://github.com/sylabs/sif, pkg/integrity. A signature is a data object that is linked to a group. It holds a
message, clear-signed with OpenPGP (RFC 4880, section 7) or in a DSSE envelope, and the message is JSON::

    {"version": 1, "header": {"digest": "sha256:…"},
     "objects": [{"relativeId": 0, "descriptorDigest": "sha256:…", "objectDigest": "sha256:…"}, …]}

``relativeId`` counts from the lowest id of the group. The digest of the header is that of launch script, magic, version
and uuid; that of a descriptor leaves out where the data lie, the group and the time of change, and has the relative id.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.files import BLOCK
from ansible_collections.ousamg.anno.plugins.module_utils.sif import (
    COPY_AGAIN,
    SIGNATURE_TYPE,
    Descriptor,
    Header,
    RawDescriptor,
    SifError,
    SifInfo,
    read_at,
)

# At the start of a signature's extra: hash algorithm, fingerprint of the signing key (20 bytes, or zeros).
_EXTRA = struct.Struct("<i20s")
# type, used, relative id, link, size, created, uid, gid.
_SIGNED_FIELDS = struct.Struct("<iBIIqqqq")
_PGP_START = b"-----BEGIN PGP SIGNED MESSAGE-----"
_PGP_END = b"-----BEGIN PGP SIGNATURE-----"
_DSSE_TYPE = "application/vnd.sylabs.sif-metadata+json"
_VERSION = 1
# A signature has a kilobyte, and 200 bytes more for each object.
_MAX_SIGNATURE = 1 << 20
_KNOWN = {"sha224", "sha256", "sha384", "sha512", "sha512_224", "sha512_256"}
_ALGORITHMS = _KNOWN & hashlib.algorithms_available


class Signature(NamedTuple):
    """A signature. ``entity``: fingerprint of the signing key as it is stated, None where it is not; ``form``: ``PGP``
    or ``DSSE``; ``covers``: ids of the data objects. Both are unknown (None, empty) where ``unread`` says why."""

    id: int
    entity: str | None
    form: str | None
    covers: tuple[int, ...]
    unread: str | None = None


class _Signed(NamedTuple):
    """What was signed of a data object: digests as ``algorithm:digits``."""

    relative: int
    id: int
    descriptor: str
    content: str


class _UnreadableError(Exception):
    """Why a signature's message cannot be compared with anything."""


def signatures_of(info: SifInfo) -> tuple[Signature, ...]:
    """The signatures in an image; only they are read."""
    return tuple(_read(info, item)[0] for item in info.descriptors if item.type == SIGNATURE_TYPE)


def check_digests(info: SifInfo) -> tuple[Signature, ...]:
    """The signatures in an image, after all that they cover was read and compared with their digests.

    Raises SifError, naming what was changed. What a signature that cannot be read covers is not compared.
    """
    digest = _digests(info)
    found = []
    for item in info.descriptors:
        if item.type == SIGNATURE_TYPE:
            signature, header, objects = _read(info, item)
            if header is not None:
                _compare(info, signature, header, objects, digest)
            found.append(signature)
    return tuple(found)


def summary(info: SifInfo, signatures: Sequence[Signature]) -> dict[str, Any]:
    """``state`` (unsigned, signed, or unread where a signature could not be read), ``signatures``, and the ids of the
    data objects that none covers, ``uncovered``."""
    covered = {number for signature in signatures for number in signature.covers}
    state = "unsigned"
    if signatures:
        state = "unread" if any(signature.unread for signature in signatures) else "signed"
    others = [item.id for item in info.descriptors if item.type != SIGNATURE_TYPE]
    return {
        "state": state,
        "signatures": [signature._asdict() for signature in signatures],
        "uncovered": [number for number in others if number not in covered],
    }


def _compare(
    info: SifInfo,
    signature: Signature,
    header: str,
    objects: list[_Signed],
    digest: Callable[[str, Descriptor], str],
) -> None:
    by_id = {item.id: (item, raw) for item, raw in zip(info.descriptors, info.raw)}
    if _hash(_algorithm(header), _signed_header(info.header)) != header:
        _changed(info, signature, "its header is not the one that was signed")
    for signed in objects:
        if signed.id not in by_id:
            _changed(info, signature, f"data object {signed.id}, which was signed, is not there")
        item, raw = by_id[signed.id]
        words = f"data object {item.id} ({item.type})"
        if _hash(_algorithm(signed.descriptor), _signed_descriptor(raw, signed.relative)) != signed.descriptor:
            _changed(info, signature, f"the descriptor of {words} is not the one that was signed")
        if digest(_algorithm(signed.content), item) != signed.content:
            _changed(info, signature, f"{words} is not what was signed")


def _changed(info: SifInfo, signature: Signature, found: str) -> None:
    expected = f"what signature {signature.id} covers, unchanged"
    raise SifError(info.path, found, expected, COPY_AGAIN)


def _read(info: SifInfo, item: Descriptor) -> tuple[Signature, str | None, list[_Signed]]:
    """A signature, the digest of the header, and what was signed of each data object."""
    raw = next(raw for raw in info.raw if raw.id == item.id)
    _algorithm_number, fingerprint = _EXTRA.unpack_from(raw.extra)
    entity = fingerprint.hex().upper() if any(fingerprint) else None
    try:
        if item.size > _MAX_SIGNATURE:
            raise _UnreadableError(f"it has {item.size} bytes")
        with open(info.path, "rb", buffering=0) as stream:
            form, message = _message(read_at(stream.fileno(), info.path, item.offset, item.size))
        header, objects = _parse(message, _first_of_group(info, item))
    except _UnreadableError as reason:
        return Signature(item.id, entity, None, (), str(reason)), None, []
    return Signature(item.id, entity, form, tuple(signed.id for signed in objects)), header, objects


def _message(content: bytes) -> tuple[str, bytes]:
    """The form of a signature, and the message in it."""
    if content.startswith(_PGP_START):
        # Fields such as "Hash: SHA256" go before an empty line.
        _fields, blank, rest = content.replace(b"\r\n", b"\n").partition(b"\n\n")
        message, end, _signature = rest.partition(b"\n" + _PGP_END)
        if not blank or not end:
            raise _UnreadableError("its OpenPGP message is not complete")
        return "PGP", message
    try:
        envelope = json.loads(content)
        if envelope["payloadType"] == _DSSE_TYPE:
            return "DSSE", base64.b64decode(envelope["payload"], validate=True)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise _UnreadableError("it is neither a clear-signed OpenPGP message nor a DSSE envelope")


def _parse(message: bytes, first: int) -> tuple[str, list[_Signed]]:
    """The digest of the header and what was signed of each data object; ``first`` is the lowest id of the group."""
    if message.startswith(b"SIFHASH:"):
        raise _UnreadableError("it is of a form that was given up with Singularity 3.6")
    try:
        parsed = json.loads(message)
        if parsed["version"] != _VERSION:
            raise _UnreadableError(f"its message is of version {parsed['version']!r}, not {_VERSION}")
        header = _digest_text(parsed["header"]["digest"])
        objects = [_signed(entry, first) for entry in parsed["objects"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise _UnreadableError("its message is not what a signature of an image says") from None
    return header, objects


def _signed(entry: Any, first: int) -> _Signed:
    relative = entry["relativeId"]
    if not isinstance(relative, int) or not 0 <= relative < 1 << 32:
        raise ValueError(relative)
    descriptor, content = _digest_text(entry["descriptorDigest"]), _digest_text(entry["objectDigest"])
    return _Signed(relative, first + relative, descriptor, content)


def _digest_text(text: Any) -> str:
    """A digest that can be compared with one of our own."""
    if not isinstance(text, str) or _algorithm(text) not in _ALGORITHMS:
        raise ValueError(text)
    return text


def _first_of_group(info: SifInfo, item: Descriptor) -> int:
    group, _space, is_group = (item.link or "").partition(" ")
    members = [other.id for other in info.descriptors if is_group and str(other.group) == group]
    if not members:
        raise _UnreadableError(f"it is linked to {item.link or 'nothing'}, not to a group that is there")
    return min(members)


def _signed_header(header: Header) -> bytes:
    return header.launch + header.magic + header.version + header.uuid


def _signed_descriptor(raw: RawDescriptor, relative: int) -> bytes:
    fields = (raw.type, raw.used, relative, raw.link, raw.size, raw.created, raw.uid, raw.gid)
    return _SIGNED_FIELDS.pack(*fields) + raw.name + raw.extra


def _algorithm(digest: str) -> str:
    return digest.partition(":")[0]


def _hash(algorithm: str, content: bytes) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def _digests(info: SifInfo) -> Callable[[str, Descriptor], str]:
    """A function that gives the digest of a data object, ``algorithm:digits``; several signatures read it once."""
    known: dict[tuple[str, int], str] = {}

    def digest(algorithm: str, item: Descriptor) -> str:
        if (algorithm, item.id) not in known:
            known[algorithm, item.id] = _digest_of(info.path, algorithm, item)
        return known[algorithm, item.id]

    return digest


def _digest_of(path: str, algorithm: str, item: Descriptor) -> str:
    state = hashlib.new(algorithm)
    with open(path, "rb", buffering=0) as stream:
        offset, end = item.offset, item.offset + item.size
        while offset < end:
            block = os.pread(stream.fileno(), min(BLOCK, end - offset), offset)
            if not block:
                found = f"ends {end - offset} bytes too early, while it is read"
                raise SifError(path, found, "a complete image that nobody is writing to", COPY_AGAIN)
            state.update(block)
            offset += len(block)
    return f"{algorithm}:{state.hexdigest()}"
