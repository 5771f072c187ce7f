#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: data_permissions
short_description: Add the permissions that files and folders of a data folder lack
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Looks at everything in a data folder and adds permission bits where some are missing. It never takes any away, does
    not follow symbolic links, and leaves what another user owns.
  - A file that a kept generation shares by a hard link gets the bits there too.
options:
  data:
    description: The data folder.
    type: path
    required: true
  mode:
    description:
      - Permission bits that each file and folder has at least; four octal digits in quotes.
      - A folder that lacks some can also be entered by whoever may read it, V(0775) with the default.
    type: str
    default: "0774"
attributes:
  check_mode:
    description: Tells what would be changed and changes nothing.
    support: full
  diff_mode:
    description: Shows the mode of the first files and folders before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Repair the permissions of the data
  ousamg.anno.data_permissions:
    data: /srv/anno/anno-staging/data

- name: See which files and folders lack some
  ousamg.anno.data_permissions:
    data: /srv/anno/anno-staging/data
  check_mode: true
  register: permissions
"""

RETURN = r"""
folders:
  description: How many folders there are.
  returned: success
  type: int
files:
  description: How many files there are.
  returned: success
  type: int
lacking:
  description: How many of both lacked permissions.
  returned: success
  type: int
repaired:
  description: How many were changed, or would be in check mode.
  returned: success
  type: int
findings:
  description: The first of those that lacked permissions, as path and mode.
  returned: success
  type: list
  elements: dict
  sample:
    - path: variantDBs/clinvar/README.md
      mode: "0600"
left:
  description: The first of those that could not be changed, mostly because another user owns them.
  returned: success
  type: list
  elements: dict
  sample: []
closed:
  description: The first of the folders that could not be looked into, with the reason.
  returned: success
  type: list
  elements: str
  sample: []
msg:
  description: What was done, in a sentence.
  returned: always
  type: str
"""

from collections.abc import Sequence

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import permissions
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import parse_mode

_SHOWN = 20


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0774"},
        },
        supports_check_mode=True,
    )
    data = module.params["data"]
    try:
        mode = parse_mode(module.params["mode"])
        found = permissions.check(data, mode, repair=not module.check_mode, shown=_SHOWN)
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    repaired = found.repairable if module.check_mode else found.repaired
    module.exit_json(
        changed=repaired > 0,
        folders=found.folders,
        files=found.files,
        lacking=found.lacking,
        repaired=repaired,
        findings=_listed(found.findings),
        left=_listed(found.left),
        closed=found.closed_first,
        msg=f"{data}: {found.lacking} of {found.folders + found.files} lack permissions, {repaired} repaired.",
        diff={
            "before_header": data,
            "after_header": data,
            "before": _lines(found, False),
            "after": _lines(found, True),
        },
    )


def _listed(findings: Sequence[permissions.Finding]) -> list[dict[str, str]]:
    return [{"path": finding.path, "mode": f"{finding.mode:04o}"} for finding in findings]


def _lines(found: permissions.Permissions, after: bool) -> str:
    changed = [finding for finding in found.findings if finding not in found.left]
    lines = [f"{finding.path}: {finding.wanted if after else finding.mode:04o}\n" for finding in changed]
    more = found.lacking - len(found.findings)
    return "".join(lines) + (f"… and {more} more\n" if more and lines else "")


if __name__ == "__main__":
    main()
