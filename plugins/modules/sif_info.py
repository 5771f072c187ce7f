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
  - Reads the header and the descriptors of a Singularity image (SIF file), and the superblock of its file system,
    without Singularity. Fails where the file is no complete image with one primary system partition, and says what it
    is instead, what is damaged, or how many bytes are missing.
  - Changed bytes in what the image holds are not seen that way, only with O(expect.sha256), in a signed image with
    O(signature=digests), or in part by running it.
  - With O(singularity) the image is run for the versions in it. Where that cannot be done it is not an error, and
    RV(versions_checked) is false.
options:
  path:
    description: The image.
    type: path
    required: true
  sha256:
    description: Whether to compute the SHA-256 of the file, which reads all of it.
    type: bool
    default: false
  signature:
    description:
      - V(described) tells who has signed what, as the signatures state it. Only the signatures are read.
      - V(digests) also compares all that is signed with the digests in the signatures, and fails where they do not
        match. No key is needed. It finds damage, not a forgery.
      - V(verify) also has O(singularity) verify the signatures, with the keys that this user has and without a network.
        The outcome is in RV(signature.verified); it is for the play to judge.
    type: str
    choices: [described, digests, verify]
    default: described
  singularity:
    description:
      - The executable of Singularity or Apptainer, a path or a name on E(PATH).
      - With it, the image is run once to read the tags of ella-anno and anno-targets from its files C(/anno/version)
        and C(/anno-targets/version). An image for another architecture than this host's is then refused.
    type: str
  expect:
    description:
      - What the image must be, as in C(image) of a release manifest; what is null is not compared.
      - The module fails where the image is something else, naming what was found and what is expected.
    type: dict
    default: {}
    suboptions:
      size:
        description: The size of the file in bytes.
        type: int
      sha256:
        description: The SHA-256 of the file as hexadecimal digits. All of the file is read.
        type: str
      arch:
        description: What the image must be built for, as V(amd64) or V(arm64), or V(host) for what this host is.
        type: str
      versions:
        description: The versions in the image. Compared where O(singularity) is there, see RV(versions_checked).
        type: dict
        suboptions:
          ella_anno:
            description: The tag of ella-anno.
            type: str
          anno_targets:
            description: The tag of anno-targets.
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
- name: Find the release
  ousamg.anno.release_manifest:
    search:
      - /srv/anno/incoming
  register: release

- name: Check that the file is its image, and runs here
  ousamg.anno.sif_info:
    path: /srv/anno/archive/releases/anno-v3.2.0.sif
    expect:
      size: "{{ release.manifest.image.size }}"
      sha256: "{{ release.manifest.image.sha256 }}"
      arch: host

- name: Compare the versions inside the live image
  ousamg.anno.sif_info:
    path: /srv/anno/anno-staging/anno.sif
    singularity: singularity
    expect:
      versions:
        ella_anno: v2.7.1a
        anno_targets: v3.2.0
  register: image

- name: Tell when they were not compared
  ansible.builtin.debug:
    msg: "The versions in the image were not compared: {{ image.versions_reason }}."
  when: not image.versions_checked

- name: Look for changed bytes in a signed image, and have its signatures verified
  ousamg.anno.sif_info:
    path: /srv/anno/anno-staging/anno.sif
    signature: verify
    singularity: singularity
  register: image

- name: Tell what is not verified
  ansible.builtin.debug:
    msg: "Its signatures were not verified: {{ image.signature.reason }}."
  when: image.signature.verified is not true
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
host_arch:
  description: What this host is, in the words of RV(arch).
  type: str
  returned: success
runs_here:
  description: Whether programs of RV(arch) run on this host without emulation.
  type: bool
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
  description:
    - The SHA-256 of the file as hexadecimal digits.
    - Null where neither O(sha256) nor O(expect.sha256) asks for it.
  type: str
  returned: success
signature:
  description: The signatures in the image.
  type: dict
  returned: success
  contains:
    state:
      description: V(unsigned), V(signed), or V(unread) where a signature could not be read.
      type: str
    signatures:
      description: Each signature.
      type: list
      elements: dict
      contains:
        id:
          description: Number of the data object that it is.
          type: int
        entity:
          description: Fingerprint of the signing key as the image states it, or null. O(signature=verify) proves it.
          type: str
        form:
          description: V(PGP) or V(DSSE), or null where it could not be read.
          type: str
        covers:
          description: Numbers of the data objects that were signed.
          type: list
          elements: int
        unread:
          description: Why it could not be read, or null.
          type: str
    uncovered:
      description: Numbers of the data objects that no signature covers.
      type: list
      elements: int
    digests_match:
      description:
        - True where all that is signed was compared with the digests in the signatures; the module fails where it does
          not match. Null where it was not compared, was not signed, or a signature could not be read.
      type: bool
    verified:
      description: What Singularity finds. Null where it was not asked, is not there, or nothing is signed.
      type: bool
    reason:
      description: Why RV(signature.verified) is not true, or null.
      type: str
versions:
  description: The tags C(ella_anno) and C(anno_targets) that the image states, or null where it was not run.
  type: dict
  returned: success
  sample: {ella_anno: v2.7.1a, anno_targets: v3.1.0}
versions_checked:
  description: True only where the versions were read from inside the image and are those of O(expect.versions).
  type: bool
  returned: success
versions_reason:
  description: Why the versions were not read or compared, or null.
  type: str
  returned: success
  sample: there is no singularity on this host
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.image_look import Expected, look


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "sha256": {"type": "bool", "default": False},
            "signature": {"type": "str", "choices": ["described", "digests", "verify"], "default": "described"},
            "singularity": {"type": "str"},
            "expect": {
                "type": "dict",
                "default": {},
                "options": {
                    "size": {"type": "int"},
                    "sha256": {"type": "str"},
                    "arch": {"type": "str"},
                    "versions": {
                        "type": "dict",
                        "options": {"ella_anno": {"type": "str"}, "anno_targets": {"type": "str"}},
                    },
                },
            },
        },
        supports_check_mode=True,
    )
    wanted = module.params
    try:
        found = look(
            wanted["path"],
            Expected(**wanted["expect"]),
            sha256=wanted["sha256"],
            signature=wanted["signature"],
            program=wanted["singularity"],
        )
    except (AnnoError, OSError) as error:
        module.fail_json(valid=False, **failure(error))
    module.exit_json(changed=False, valid=True, **found)


if __name__ == "__main__":
    main()
