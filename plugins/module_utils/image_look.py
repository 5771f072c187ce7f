# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that can be told of an image, compared with what is expected of it: what costs least first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import sif_signature, singularity
from ansible_collections.ousamg.anno.plugins.module_utils.files import sha256_of
from ansible_collections.ousamg.anno.plugins.module_utils.image_expect import (
    check_arch,
    check_sha256,
    check_size,
    host_arch,
    look_inside,
    runs_on,
)
from ansible_collections.ousamg.anno.plugins.module_utils.sif import SifInfo, inspect_sif

_HOST = "host"


class Expected(NamedTuple):
    """What an image must be; None: anything. ``arch`` is Go's name of it or ``host``, ``size`` is in bytes."""

    size: int | None = None
    sha256: str | None = None
    arch: str | None = None
    versions: Mapping[str, str | None] | None = None


def look(
    path: str, expected: Expected, *, sha256: bool, signature: str, program: str | None
) -> dict[str, Any]:
    """The image as the module sif_info returns it.

    :param signature: ``described``, ``digests`` or ``verify``.
    :param program: the executable of Singularity, if it is to run the image.
    Raises SifError, ImageExpectationError or SingularityError.
    """
    info = inspect_sif(path)
    if expected.size is not None:
        check_size(info, expected.size)
    here = host_arch()
    if expected.arch is not None:
        check_arch(info, here if expected.arch == _HOST else expected.arch)
    digest = None
    if expected.sha256 is not None:
        digest = check_sha256(path, expected.sha256)
    elif sha256:
        digest = sha256_of(path)
    signatures = _signatures(info, signature, program)
    versions = {name: version for name, version in (expected.versions or {}).items() if version is not None}
    inside = look_inside(info, program, versions)
    return {
        "size": info.size,
        "launch": info.launch,
        "version": info.version,
        "arch": info.arch,
        "host_arch": here,
        "runs_here": runs_on(info.arch, here),
        "uuid": info.uuid,
        "created": info.created,
        "descriptors": [item._asdict() for item in info.descriptors],
        "primary": info.primary.id,
        "sha256": digest,
        "signature": signatures,
        "versions": inside.versions,
        "versions_checked": inside.checked,
        "versions_reason": inside.reason,
    }


def _signatures(info: SifInfo, depth: str, program: str | None) -> dict[str, Any]:
    described = depth == "described"
    found = sif_signature.signatures_of(info) if described else sif_signature.check_digests(info)
    result = sif_signature.summary(info, found)
    compared = not described and result["state"] == "signed"
    verified: bool | None = None
    reason: str | None = "it was not asked for"
    if depth == "verify":
        verified, reason = _verified(info, program) if found else (None, "nothing is signed")
    return {**result, "digests_match": True if compared else None, "verified": verified, "reason": reason}


def _verified(info: SifInfo, program: str | None) -> tuple[bool | None, str | None]:
    executable = singularity.find(program) if program else None
    if executable is None:
        return None, f"there is no {program} on this host" if program else "no executable of Singularity is given"
    verification = singularity.verify(info.path, executable)
    return verification.good, None if verification.good else verification.words
