#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release_manifest
short_description: Find and check the manifest of a release, or derive it from artifacts
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Without O(data_archive) and O(image), looks for files named C(<version>.yml) in O(search) and takes O(release), or
    the newest one. Release candidates are taken only when O(release) names them.
  - With O(data_archive) or O(image), says what is in these files and makes a manifest of it. The same files give
    the same manifest everywhere. Where O(search) has a manifest of that version for the same files, that one is taken.
  - An action plugin checks the manifest on the controller, so the target needs neither PyYAML nor jsonschema.
    The controller needs both.
options:
  search:
    description:
      - Folders on the target to look for manifests in. The first that has a version wins.
      - It is an error when two folders have different manifests for the version that is taken.
      - A folder that does not exist counts as empty.
    type: list
    elements: path
    required: true
  release:
    description:
      - The version tag of the release, like V(v3.2.0) or V(v3.2.0a).
      - Null or empty means the newest manifest, or, with O(image), the version tag in the name of the image.
      - Required for a data archive without image and without manifest.
    type: str
  data_archive:
    description:
      - A data archive that came without a manifest, as an absolute path or a plain name.
      - A plain name is looked for in O(artifact_search). So is the name of a path that is not there any more,
        because a run before may have moved it.
    type: path
  image:
    description: A Singularity image that came without a manifest, given like O(data_archive).
    type: path
  artifact_search:
    description: Folders on the target to look for O(data_archive) and O(image) in; the first wins.
    type: list
    elements: path
    default: []
  data:
    description:
      - The live data folder.
      - Where its receipt names the data archive with the same size and time, the checksum is taken from there.
    type: path
attributes:
  check_mode:
    description: Reads only; the same with and without check mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: full
  idempotent:
    description: Changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Take the newest release
  ousamg.anno.release_manifest:
    search:
      - /srv/anno/archive/releases
      - /srv/anno/incoming
  register: release

- name: Take an image and a data archive that came without a manifest
  ousamg.anno.release_manifest:
    search:
      - /srv/anno/archive/releases
    artifact_search:
      - /srv/anno/incoming
    data_archive: clinvar_20240107-hgmd_2023.4.tar
    image: anno-v3.2.0.sif
  register: release
"""

RETURN = r"""
manifest:
  description: The manifest.
  type: dict
  returned: success
  contains:
    version:
      description: The version tag of anno-targets.
      type: str
    ella_anno:
      description: The version tag of ella-anno, or null when it is not known.
      type: str
    kind:
      description: V(major), V(minor), V(patch) or V(data).
      type: str
    packages:
      description: The data packages, each with C(name), C(version) and C(repository) (or null); sorted by name.
      type: list
      elements: dict
    archive:
      description: The data archive with C(file), C(size) in bytes and C(sha256), or null in a code-only release.
      type: dict
    image:
      description:
        - The image with C(file), C(size) in bytes, C(sha256) and C(versions), or null in a data-only release.
        - C(versions) has the tags C(ella_anno) and C(anno_targets), or is null when they are not known.
      type: dict
    tracks:
      description: The ELLA tracks to be updated.
      type: list
      elements: str
    issue:
      description: The address of the release issue, or null.
      type: str
    created:
      description: When the release was made, in ISO 8601 and UTC, or null.
      type: str
digest:
  description: The SHA-256 of what the manifest says, as hexadecimal digits. Comments and formatting do not count.
  type: str
  returned: success
origin:
  description: Whether the manifest is a V(file), or V(derived) from O(data_archive) and O(image).
  type: str
  returned: success
path:
  description: The manifest's file on the target, or null where RV(origin=derived).
  type: str
  returned: success
text:
  description: The text of the manifest's file, or the text to be recorded where RV(origin=derived).
  type: str
  returned: success
available:
  description: The versions that O(search) has manifests of, the newest last.
  type: list
  elements: str
  returned: success
msg:
  description: Which release it is and why, or the error.
  type: str
  returned: always
  sample: "v3.2.0: newest of 2 in /data/anno/archive/releases"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.manifest_search import inspect


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "search": {"type": "list", "elements": "path", "required": True},
            "release": {"type": "str"},
            "data_archive": {"type": "path"},
            "image": {"type": "path"},
            "artifact_search": {"type": "list", "elements": "path", "default": []},
            "data": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        found = inspect(**module.params)
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    # The action plugin completes this on the controller.
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
