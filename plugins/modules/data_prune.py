#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: data_prune
short_description: Remove the oldest kept generations of a data folder
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Former generations of a data folder are kept to roll back to. This removes those that were rolled back from, and
    then the oldest ones. The live one and the one that is made ready are not touched.
  - Like every module that switches it first finishes or undoes a switch that was interrupted.
options:
  data:
    description: The data folder.
    type: path
    required: true
  keep:
    description:
      - How many former generations are kept, the latest retired first; M(ousamg.anno.data_rollback) returns to that
        one. With V(0) none is, and there is no way back. V(-1) keeps all, and only ends what was interrupted.
    type: int
    default: 2
  replaced:
    description:
      - The id of the generation that a deployment replaces before it removes any. A dry run of the deployment, in which
        that one still is live, then tells what the run removes. Of no account otherwise.
    type: str
attributes:
  check_mode:
    description: Names what the run then removes. Fails where a switch was interrupted.
    support: full
  diff_mode:
    description: Shows the kept generations before and after.
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Keep one generation to roll back to
  ousamg.anno.data_prune:
    data: /srv/anno/anno-staging/data
    keep: 1
"""

RETURN = r"""
removed:
  description: The generations that were removed, the latest first.
  returned: success
  type: list
  elements: str
  sample: ["20261124T031500123Z-5891b5b5"]
kept:
  description: The generations that are kept, the latest first.
  returned: success
  type: list
  elements: str
left:
  description: Folders of removed generations that could not be removed whole, because something in them is another
    user's. They only take room; the next run tries again.
  returned: success
  type: list
  elements: str
"""

import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import data_switch, generation, lock, trash
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import is_there


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "required": True},
            "keep": {"type": "int", "default": 2},
            "replaced": {"type": "str"},
        },
        supports_check_mode=True,
    )
    keep = module.params["keep"]
    if keep < -1:
        module.fail_json(msg=f"keep: {keep} is negative. Expected: 0 or more, or -1 for all. What to do: correct it.")
    keep = sys.maxsize if keep == -1 else keep
    replaced = module.params["replaced"] if module.check_mode else None
    try:
        store = generation.open_store(module.params["data"])
        lock.check(store.lock)
        if module.check_mode:
            data_switch.check_recovered(store)
        interrupted = is_there(store.journal)
        if not module.check_mode and (interrupted or generation.surplus(store, keep) or trash.paths(store)):
            with data_switch.locked(store, "prune"):
                before = generation.kept(store)
                surplus = generation.surplus(store, keep)
                data_switch.prune(store, keep)
        else:
            before = generation.kept(store)
            surplus = generation.surplus(store, keep, replaced)
        left = trash.left(store)
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    removed = [former.id for former in surplus]
    kept = [former.id for former in before if former not in surplus]
    diff = {"before": "".join(f"{former.id}\n" for former in before), "after": "".join(f"{name}\n" for name in kept)}
    if left and not module.check_mode:
        module.warn(trash.warning(left))
    module.exit_json(changed=bool(removed) or interrupted, removed=removed, kept=kept, left=left, diff=diff)


if __name__ == "__main__":
    main()
