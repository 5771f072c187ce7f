#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ledger_info
short_description: Read the deployment ledger of an instance
description:
  - Tells what is deployed, whether a deployment is under way, and what happened before.
  - A missing ledger is an empty one. Damaged lines are reported and otherwise left out.
version_added: 0.1.0
author: OUS AMG (@ousamg)
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: full
  idempotent:
    description: Only reads.
    support: full
options:
  path:
    description: The ledger.
    type: path
    required: true
  last:
    description: Return only so many of the last entries. The other results still come from all of them.
    type: int
"""

EXAMPLES = r"""
- name: Read the ledger
  ousamg.anno.ledger_info:
    path: /srv/anno/anno-prod/deployments.jsonl
    last: 10
  register: ledger

- name: Tell what is live
  ansible.builtin.debug:
    msg: "{{ ledger.live.release if ledger.live else 'nothing on record' }}"
"""

RETURN = r"""
entries:
  description: The entries, oldest first, as RV(ousamg.anno.ledger_entry#module:entries).
  returned: success
  type: list
  elements: dict
damaged:
  description: Numbers of the lines that are no entries, counted from 1.
  returned: success
  type: list
  elements: int
live:
  description: >-
    The last deployment that ended well, null if there is none. C(time), C(by) and C(from) are those of its end;
    C(tested) tells whether the last test of this manifest since then passed.
  returned: success
  type: dict
  sample:
    deployment: 20260302T091401-4711
    site: TSD
    env: prod
    release: v3.2.0a
    manifest: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    time: '2026-03-02T09:21:40.030Z'
    by: release-responsible
    from: controller
    tested: true
open:
  description: >-
    The start entry of the last deployment if that has no end, else null. C(switched) lists its switch entries.
  returned: success
  type: dict
holder:
  description: Who holds the lock, null if it is free. All its values are null if the lock cannot be read.
  returned: success
  type: dict
  sample:
    deployment: 20260302T091401-4711
    by: release-responsible
    from: controller
    pid: 4711
    since: '2026-03-02T09:14:01.204Z'
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import ledger
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure


def main() -> None:
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}, "last": {"type": "int"}},
        supports_check_mode=True,
    )
    last = module.params["last"]
    if last is not None and last < 0:
        module.fail_json(msg=f"last: {last} is negative. Expected: 0 or more. What to do: Correct it.")
    try:
        found = ledger.read(module.params["path"])
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    skipped = 0 if last is None else max(0, len(found.entries) - last)
    module.exit_json(
        changed=False,
        entries=[entry.as_dict() for entry in found.entries[skipped:]],
        damaged=found.damaged,
        live=ledger.live(found.entries),
        open=ledger.unfinished(found.entries),
        holder=found.holder.as_dict() if found.holder else None,
    )


if __name__ == "__main__":
    main()
