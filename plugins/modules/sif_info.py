#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: sif_info
short_description: Check and describe a Singularity image
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Reads the header and the descriptors of a Singularity image (SIF file) without Singularity.
  - Fails where the file is no complete image with one primary system partition, and says what it is instead
    or how many bytes are missing.
options:
  path:
    description: The image.
    type: path
    required: true
  sha256:
    description: Whether to compute the SHA-256 of the file, which reads all of it.
    type: bool
    default: false
  singularity:
    description:
      - The executable of Singularity or Apptainer, a path or a name on E(PATH).
      - With it, the image is run to read the tags of ella-anno and anno-targets from its files C(/anno/version)
        and C(/anno-targets/version).
    type: str
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
- name: Check the new image
  ousamg.anno.sif_info:
    path: /data/anno/archive/releases/anno-v3.2.0.sif
    sha256: true

- name: Read the versions from inside the image
  ousamg.anno.sif_info:
    path: /data/anno/anno-staging/anno.sif
    singularity: singularity
  register: image
"""

RETURN = r"""
valid:
  description: Whether the file is a complete image. The module fails where it is not.
  type: bool
  returned: always
size:
  description: Size of the file in bytes.
  type: int
  returned: success
launch:
  description: The line that makes the file executable by itself.
  type: str
  returned: success
version:
  description: Version of the SIF format.
  type: str
  returned: success
arch:
  description: What the image was built for, as V(amd64) or V(arm64).
  type: str
  returned: success
uuid:
  description: The identifier of the image.
  type: str
  returned: success
created:
  description: When the image was built, in UTC.
  type: str
  returned: success
  sample: "2026-11-24T03:13:08Z"
descriptors:
  description: The data objects in the image.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: Number of the data object.
      type: int
    type:
      description: Its kind, in the words of C(apptainer sif list).
      type: str
    group:
      description: The group that it belongs to, or null.
      type: int
    link:
      description: The data object, or the group (as V(1 (G\))), that it refers to, or null.
      type: str
    offset:
      description: Where it starts, in bytes.
      type: int
    size:
      description: Its size in bytes.
      type: int
    name:
      description: Its name, often empty.
      type: str
    fs_type:
      description: The file system of a partition, otherwise null.
      type: str
    partition_type:
      description: The kind of a partition, otherwise null. V(*System) is the primary system partition.
      type: str
    arch:
      description: What a partition was built for, otherwise null.
      type: str
primary:
  description: Number of the data object that is the primary system partition.
  type: int
  returned: success
sha256:
  description: The SHA-256 of the file as hexadecimal digits, or null where O(sha256=false).
  type: str
  returned: success
versions:
  description: The tags C(ella_anno) and C(anno_targets) that the image states, or null without O(singularity).
  type: dict
  returned: success
  sample: {ella_anno: v2.7.1a, anno_targets: v3.1.0}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import sha256_of
from ansible_collections.ousamg.anno.plugins.module_utils.sif import inspect_sif, read_versions


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "sha256": {"type": "bool", "default": False},
            "singularity": {"type": "str"},
        },
        supports_check_mode=True,
    )
    path, singularity = module.params["path"], module.params["singularity"]
    try:
        info = inspect_sif(path)
        digest = sha256_of(path) if module.params["sha256"] else None
        versions = read_versions(path, singularity) if singularity else None
    except (AnnoError, OSError) as error:
        module.fail_json(valid=False, **failure(error))
    found = info._asdict()
    # Ansible would take the size of what lies at "path", which may be a link.
    del found["path"]
    found["descriptors"] = [item._asdict() for item in info.descriptors]
    found["primary"] = info.primary.id
    module.exit_json(changed=False, valid=True, sha256=digest, versions=versions, **found)


if __name__ == "__main__":
    main()
