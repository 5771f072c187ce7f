#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: data_generation_info
short_description: Tell which generations of a data folder there are
version_added: 0.1.0
description:
  - The live generation, the one that is made ready, and those that are kept, with their packages and what they take on
    disk; which of them can be returned to, and why not the others; and what else lies in the state folder.
  - Walks each of them once, without a lock. A data folder that was made by hand is a generation like the others.
options:
  data:
    description: The data folder.
    type: path
    required: true
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Reads only, there is no difference to show.
    support: full
  idempotent:
    description: Reads only.
    support: full
author:
  - OUS AMG (@ousamg)
"""

EXAMPLES = r"""
- name: Look what could be returned to
  ousamg.anno.data_generation_info:
    data: /srv/anno/anno-staging/data
  register: found

- name: Show it
  ansible.builtin.debug:
    msg: "{{ found.generations | selectattr('returnable') | map(attribute='id') }}"
"""

RETURN = r"""
live:
  description: The live generation's id; null where a kill has left the folder missing between two renames.
  returned: success
  type: str
  sample: 20261124T031500123Z-5891b5b5
generations:
  description: The live one first, then the next one, then those that are kept, the latest retired first.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Its id, as O(ousamg.anno.data_rollback#module:to) takes it. Null while it is built.
      type: str
    state:
      description: V(live), V(kept), V(ready) (the next one, complete) or V(building) (the next one, half built).
      type: str
    path:
      description: Its folder.
      type: path
    order:
      description: Counts the retirements, the largest is the latest. Null for one that is not kept.
      type: int
    created:
      description: When it was made, UTC. For one made by hand the time of its C(sources.json).
      type: str
    base:
      description: For a partial generation the id of the one that it differs from, null for a full one.
      type: str
    packages:
      description: Those of its C(sources.json) and its receipt. C(destination) is null where it cannot be told.
      type: list
      elements: dict
      contains:
        name:
          description: The package, or its folder where nothing tells which package it is.
          type: str
        version:
          description: Its version, null where none is written down.
          type: str
        destination:
          description: Its folder below the data folder.
          type: str
    files:
      description: Files and links in it, each once however many names it has.
      type: int
    bytes:
      description: Their content, in bytes, as a reader sees it.
      type: int
    exclusive_bytes:
      description: What removing just this generation would give back on disk, in bytes. Folders count.
      type: int
    unreadable:
      description: Folders in it that this user may not look into; they are not in the figures.
      type: list
      elements: str
    returnable:
      description: Whether M(ousamg.anno.data_rollback) would return to it now.
      type: bool
    obstacle:
      description: Why not, null where it would.
      type: str
    problem:
      description: What in it could not be read, null where all could.
      type: str
disk_bytes:
  description: What all of it takes on disk together, in bytes, the state folder included.
  returned: success
  type: int
interrupted:
  description: A switch that was interrupted and not mended yet, null where there is none.
  returned: success
  type: str
lock:
  description: Who works here (C(host), C(user), C(pid), C(since), C(purpose)), and whether that process is certainly
    C(gone). Null where nobody does; values are null where the lock does not say.
  returned: success
  type: dict
leftovers:
  description: What else lies in the state folder, for instance what was being removed. Each with its C(path) and the
    C(bytes) on disk that removing it would give back.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import generation_info
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure


def main() -> None:
    module = AnsibleModule(
        argument_spec={"data": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    try:
        report = generation_info.inspect(module.params["data"])
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    module.exit_json(**generation_info.result(report))


if __name__ == "__main__":
    main()
