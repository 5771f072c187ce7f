# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter anno_version."""

from __future__ import annotations

DOCUMENTATION = r"""
name: anno_version
short_description: Read, order and bump version tags of the anno system
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Reads a version tag like V(v2.7.1), V(v2.7.1a) (data only) or V(v2.7.1-rc2) (release candidate).
  - The order is C(v2.7.1-rc < v2.7.1-rc2 < v2.7.1 < v2.7.1a < v2.7.1b < v2.7.2).
positional: bump
options:
  _input:
    description: The version tag.
    type: str
    required: true
  bump:
    description:
      - Return the tag of the next release of this kind instead of the parts.
      - After a release candidate of the same kind that is the release itself.
      - It is an error to bump V(data) of a release candidate, or after the letter C(z).
    type: str
    choices: [major, minor, patch, data]
"""

EXAMPLES = r"""
- name: Show the kind of a release
  ansible.builtin.debug:
    msg: "{{ ('v2.7.1a' | ousamg.anno.anno_version).kind }}" # data

- name: Show the tag of the next data release
  ansible.builtin.debug:
    msg: "{{ 'v2.7.1' | ousamg.anno.anno_version(bump='data') }}" # v2.7.1a

- name: Show the newest of some tags
  ansible.builtin.debug:
    msg: >-
      {{ ['v2.7.1a', 'v2.10.0', 'v2.7.1'] | map('ousamg.anno.anno_version') | sort(attribute='sort_key')
      | map(attribute='version') | last }} # v2.10.0
"""

RETURN = r"""
_value:
  description: The parts of the tag, or with O(bump) the next tag as text.
  type: dict
  contains:
    version:
      description: The tag.
      type: str
    major:
      description: The first number.
      type: int
    minor:
      description: The second number.
      type: int
    patch:
      description: The third number.
      type: int
    letter:
      description: The letter of a data release, otherwise empty.
      type: str
    candidate:
      description: The number of a release candidate, 0 for C(-rc) without one; null for a release.
      type: int
    kind:
      description: V(major), V(minor), V(patch) or V(data), as the number says.
      type: str
    sort_key:
      description: A list that sorts as the versions do.
      type: list
"""

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ousamg.anno.plugins.module_utils.anno_version import AnnoVersion, VersionError


def anno_version(tag: str, bump: str | None = None) -> dict[str, Any] | str:
    """The parts of a tag, or the next tag."""
    try:
        version = AnnoVersion.parse(str(tag))
        if bump is not None:
            return str(version.bump(bump))
    except VersionError as error:
        raise AnsibleFilterError(str(error)) from None
    return {
        "version": str(version),
        "major": version.major,
        "minor": version.minor,
        "patch": version.patch,
        "letter": version.letter,
        "candidate": version.candidate,
        "kind": version.kind,
        "sort_key": list(version.sort_key),
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"anno_version": anno_version}
