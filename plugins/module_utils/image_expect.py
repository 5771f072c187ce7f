# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares an image with what a release manifest or this machine expects of it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import singularity
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import sha256_of
from ansible_collections.ousamg.anno.plugins.module_utils.sif import UNKNOWN, SifInfo

# What `uname -m` says of a machine, where that is not Go's name for it.
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "i386": "386", "i686": "386", "armv7l": "arm", "armv6l": "arm"}

_OTHER_IMAGE = "Fetch or copy the image again, or mend the release manifest."


class ImageExpectationError(AnnoError):
    """An image that is not the one that is expected, or not for this machine."""


class Inside(NamedTuple):
    """The versions that an image states, None where they were not read. ``checked``: they were compared with what is
    expected, and agree; otherwise ``reason`` says why they were not."""

    versions: dict[str, str] | None
    checked: bool
    reason: str | None


def host_arch() -> str:
    """Go's name of what this machine is."""
    machine = platform.machine()
    return _MACHINES.get(machine, machine)


def runs_on(arch: str, host: str) -> bool:
    """Whether a machine runs programs of an architecture by itself, without emulation. Both are Go's names."""
    return arch == host or (arch, host) == ("386", "amd64")


def check_arch(info: SifInfo, expected: str) -> None:
    """Raises ImageExpectationError where a machine of the expected architecture does not run the image."""
    if not runs_on(info.arch, expected):
        todo = f"Build or fetch the image for {expected}."
        raise ImageExpectationError(info.path, f"is an image for {info.arch}", f"one for {expected}", todo)


def check_size(info: SifInfo, expected: int) -> None:
    """Raises ImageExpectationError where the file has not as many bytes."""
    if info.size != expected:
        raise ImageExpectationError(info.path, f"has {info.size} bytes", f"{expected} bytes", _OTHER_IMAGE)


def check_sha256(path: str, expected: str) -> str:
    """The SHA-256 of the file, which is read whole.

    Raises ImageExpectationError where it is not as expected (hexadecimal digits).
    """
    digest = sha256_of(path)
    if digest != expected.lower():
        raise ImageExpectationError(path, f"has the SHA-256 {digest}", expected.lower(), _OTHER_IMAGE)
    return digest


def look_inside(info: SifInfo, program: str | None, expected: Mapping[str, str]) -> Inside:
    """Run the image for its versions and compare them.

    :param program: the executable of Singularity, a path or a name on PATH. None, or one that this host does not have,
        is no error: the versions are not read then.
    :param expected: the versions that are known, by name.
    Raises ImageExpectationError for another architecture or other versions, SingularityError where it cannot be run.
    """
    if not program:
        return Inside(None, False, "no executable of Singularity is given")
    executable = singularity.find(program)
    if executable is None:
        return Inside(None, False, f"there is no {program} on this host")
    if info.arch != UNKNOWN:
        check_arch(info, host_arch())
    versions = singularity.read_versions(info.path, executable)
    if not expected:
        return Inside(versions, False, "no versions are expected")
    if any(versions[name] != version for name, version in expected.items()):
        raise ImageExpectationError(info.path, f"holds {_words(versions)}", _words(expected), _OTHER_IMAGE)
    return Inside(versions, True, None)


def _words(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
