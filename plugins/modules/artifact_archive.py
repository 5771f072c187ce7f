#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: artifact_archive
short_description: Keep the artifacts of a release in the archive
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Finds the artifacts of a release and moves each into its folder of the archive, unless it is there already.
  - A move within a file system is a rename. Across file systems the file is copied, checked and synced, and then the
    original is removed.
  - Records the release manifest beside them.
options:
  artifacts:
    description: The artifacts, usually the data archive and the image.
    type: list
    elements: dict
    required: true
    suboptions:
      file:
        description: The plain name of the file.
        type: str
        required: true
      size:
        description: The size in bytes that it must have.
        type: int
        required: true
      search:
        description: Folders to look for it in, after O(artifacts[].dest); the first that has it wins.
        type: list
        elements: path
        default: []
      dest:
        description:
          - Its folder in the archive, which must exist.
          - Null where it is not archived. It is then found and checked, and left as it is.
        type: path
      sha256:
        description: Its SHA-256 as hexadecimal digits. Compared when the file has to be copied.
        type: str
      required:
        description:
          - Whether it is an error when the file is nowhere.
          - A data archive may be deleted once its data are live, where there is no archive.
        type: bool
        default: true
      keep:
        description: Whether the original stays where it is, because another instance is to find it there too.
        type: bool
        default: false
  manifest:
    description: The release manifest to be recorded. It is an error when another one is recorded there.
    type: dict
    suboptions:
      path:
        description: The file to write it to. Its folder must exist.
        type: path
        required: true
      text:
        description: The text of the file.
        type: str
        required: true
  mode:
    description:
      - Permission bits that what is archived must have at least; missing ones are added.
      - Four octal digits in quotes.
    type: str
    default: "0774"
attributes:
  check_mode:
    description: Checks everything and predicts the change, and writes nothing.
    support: full
  diff_mode:
    description: Shows where each file is, its permission bits and the manifest, before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Find the release
  ousamg.anno.release_manifest:
    search:
      - /srv/anno/incoming
  register: release

- name: Archive its image and its manifest
  ousamg.anno.artifact_archive:
    artifacts:
      - file: "{{ release.manifest.image.file }}"
        size: "{{ release.manifest.image.size }}"
        sha256: "{{ release.manifest.image.sha256 }}"
        search:
          - /srv/anno/incoming
        dest: /srv/anno/archive/releases
    manifest:
      path: /srv/anno/archive/releases/v3.2.0.yml
      text: "{{ release.text }}"
"""

RETURN = r"""
artifacts:
  description: The artifacts in the order of O(artifacts).
  type: list
  elements: dict
  returned: success
  contains:
    file:
      description: The plain name.
      type: str
    path:
      description:
        - Where the file is when this run is done. In check mode that is where it was found.
        - Where the file would be, if it is nowhere and not required.
      type: str
    archived:
      description: Whether this run moved it into the archive, or would in check mode.
      type: bool
    before:
      description: Where it was found, or null if it is nowhere.
      type: str
    after:
      description: Where it is in the end, or null if it is nowhere. In check mode where it would be.
      type: str
planned:
  description: Whether there was something to do. The same as RV(changed), for a task that reports no change.
  type: bool
  returned: success
changed:
  description: Whether something was changed, or would be in check mode. True as well when a change failed half-way.
  type: bool
  returned: always
msg:
  description: What was to be done, or the error.
  type: str
  returned: always
diff:
  description: The change.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils.artifacts import (
    Wanted,
    apply,
    inspect,
    plan,
    plan_manifest,
    summary,
)
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import parse_mode

_ARTIFACT = {
    "file": {"type": "str", "required": True},
    "size": {"type": "int", "required": True},
    "search": {"type": "list", "elements": "path", "default": []},
    "dest": {"type": "path"},
    "sha256": {"type": "str"},
    "required": {"type": "bool", "default": True},
    "keep": {"type": "bool", "default": False},
}
_MANIFEST = {"path": {"type": "path", "required": True}, "text": {"type": "str", "required": True}}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "artifacts": {"type": "list", "elements": "dict", "required": True, "options": _ARTIFACT},
            "manifest": {"type": "dict", "options": _MANIFEST},
            "mode": {"type": "str", "default": "0774"},
        },
        supports_check_mode=True,
    )
    changed = False
    try:
        mode = parse_mode(module.params["mode"])
        located = [inspect(Wanted(**wanted)) for wanted in module.params["artifacts"]]
        actions = plan(located, mode)
        if module.params["manifest"]:
            actions += plan_manifest(mode=mode, **module.params["manifest"])
        if not module.check_mode:
            # A move may be done when the next fails.
            changed = bool(actions)
            apply(actions)
    except (AnnoError, OSError) as error:
        module.fail_json(changed=changed, **failure(error))
    module.exit_json(**summary(located, actions, done=not module.check_mode))


if __name__ == "__main__":
    main()
