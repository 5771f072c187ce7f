# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter archive_name."""

from __future__ import annotations

DOCUMENTATION = r"""
name: archive_name
short_description: Name a data archive after its packages
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Makes the recommended name of a data archive, C(source1_version-source2_version.tar), sorted by name.
  - Characters that are unsafe in a file name are refused.
options:
  _input:
    description: The packages, each with C(name) and C(version). Other keys do not matter.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the name of an archive
  ansible.builtin.debug:
    msg: >-
      {{ [{'name': 'hgmd', 'version': '2023.4'}, {'name': 'clinvar', 'version': '20240107'}]
      | ousamg.anno.archive_name }} # clinvar_20240107-hgmd_2023.4.tar
"""

RETURN = r"""
_value:
  description: The file name.
  type: str
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.ousamg.anno.plugins.module_utils import artifacts


def archive_name(packages: Sequence[Mapping[str, Any]]) -> str:
    """The recommended name of a data archive."""
    if not isinstance(packages, Sequence) or not all(isinstance(package, Mapping) for package in packages):
        raise AnsibleFilterError("archive_name needs a list of packages, each with name and version.")
    try:
        return artifacts.archive_name(packages)
    except artifacts.ArtifactError as error:
        raise AnsibleFilterError(str(error)) from None


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        return {"archive_name": archive_name}
