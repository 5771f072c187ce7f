#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_link
short_description: Switch the symbolic link that names the live image
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Points a symbolic link to a Singularity image in one atomic step, after the image was checked.
  - The link gets a relative path. A link that leads to the image already is left as it is.
  - Anything else than a symbolic link in the place of the link is refused.
options:
  link:
    description: The symbolic link. Its folder must exist.
    type: path
    required: true
  state:
    description:
      - V(linked) points the link to O(image).
      - V(restored) gives the link exactly the text O(restore_to) again, or removes it. The image is not looked at.
    type: str
    choices: [linked, restored]
    default: linked
  image:
    description: The image. Required where O(state=linked).
    type: path
  src:
    description:
      - Where the image lies now, when it is still to be moved to O(image).
      - Used in check mode only, so that a dry run can check an image before it is archived.
    type: path
  sha256:
    description: The SHA-256 that the image must have, as hexadecimal digits. Reads the whole image.
    type: str
  size:
    description: The size in bytes that the image must have.
    type: int
  mode:
    description:
      - Permission bits that the image must have at least; missing ones are added.
      - Four octal digits in quotes.
    type: str
    default: "0774"
  restore_to:
    description:
      - The text of the link for O(state=restored), as it was returned in RV(before).
      - Null (or empty) where there was no link; the link is then removed.
    type: str
attributes:
  check_mode:
    description: Checks everything and predicts the change, and writes nothing.
    support: full
  diff_mode:
    description: Shows the text of the link and the permission bits of the image, before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Switch staging to the new image
  ousamg.anno.image_link:
    link: /srv/anno/anno-staging/anno.sif
    image: /srv/anno/archive/releases/anno-v3.2.0.sif
  register: image_switch

- name: Put the former link back
  ousamg.anno.image_link:
    link: /srv/anno/anno-staging/anno.sif
    state: restored
    restore_to: "{{ image_switch.before }}"
"""

RETURN = r"""
before:
  description: The text of the link before, or null where there was none.
  type: str
  returned: success, and when a change failed half-way
  sample: ../archive/releases/anno-v3.1.0.sif
after:
  description: The text of the link after, or null where there is none. In check mode what it would be.
  type: str
  returned: success
  sample: ../archive/releases/anno-v3.2.0.sif
image:
  description: The image that the link leads to, without symbolic links in its path; null where O(state=restored).
  type: str
  returned: success
mode:
  description: The permission bits of the image after, in octal; null where O(state=restored).
  type: str
  returned: success
  sample: "0775"
planned:
  description: Whether there was something to do. The same as RV(changed), for a task that reports no change.
  type: bool
  returned: success
changed:
  description: Whether something was changed, or would be in check mode. True as well when a change failed half-way.
  type: bool
  returned: always
msg:
  description: What was to be done and why, or the error.
  type: str
  returned: always
diff:
  description: The change.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import parse_mode
from ansible_collections.ousamg.anno.plugins.module_utils.image_link import (
    apply,
    inspect_image,
    inspect_link,
    plan_restore,
    plan_switch,
    summary,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "link": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["linked", "restored"], "default": "linked"},
            "image": {"type": "path"},
            "src": {"type": "path"},
            "sha256": {"type": "str"},
            "size": {"type": "int"},
            "mode": {"type": "str", "default": "0774"},
            "restore_to": {"type": "str"},
        },
        required_if=[("state", "linked", ["image"])],
        supports_check_mode=True,
    )
    wanted = module.params
    image, begun = None, {}
    try:
        link = inspect_link(wanted["link"])
        if wanted["state"] == "linked":
            src = wanted["src"] if module.check_mode else None
            image = inspect_image(wanted["image"], wanted["sha256"], wanted["size"], src)
            actions = plan_switch(link, image, parse_mode(wanted["mode"]))
        else:
            actions = plan_restore(link, wanted["restore_to"] or None)
        if not module.check_mode:
            # Whatever fails from here on, the caller knows what to restore.
            begun = {"changed": bool(actions), "before": link.target}
            apply(actions)
    except (AnnoError, OSError) as error:
        module.fail_json(**begun, **failure(error))
    module.exit_json(**summary(link, image, actions))


if __name__ == "__main__":
    main()
