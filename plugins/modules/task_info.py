#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: task_info
short_description: Tell which anno tasks run
description:
  - >-
    A task runs when its folder below the work folder holds C(ACTIVE) and neither C(SUCCESS) nor C(FAILED).
    With O(api), the tasks that the service itself calls active are added.
  - A work folder that is missing or cannot be read is an error, since then it is not known whether a task runs.
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
  work:
    description: The work folder of the anno service.
    type: path
    required: true
  api:
    description: Base URL of the service's HTTP API, such as V(http://p22-anno-01:6000).
    type: str
"""

EXAMPLES = r"""
- name: Look for running tasks
  ousamg.anno.task_info:
    work: /srv/anno/anno-prod/work
  register: work

- name: Stop here while one runs
  ansible.builtin.assert:
    that: work.count == 0
    fail_msg: "Running: {{ work.running | map(attribute='id') | join(', ') }}"
"""

RETURN = r"""
running:
  description: The running tasks in the order of their numbers.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Number of the task.
      type: str
    since:
      description: When it was queued, ISO 8601 in UTC. Null if only the API knows the task.
      type: str
    step:
      description: The step that it is in, from the last line of C(STATUS).
      type: str
    status:
      description: The last line of C(STATUS), or the last status from the API.
      type: str
    source:
      description: V(folder), V(api) or V(folder, api).
      type: str
  sample:
    - id: '1207'
      since: '2026-03-02T09:14:01Z'
      step: VCFANNO
      status: "2026-03-02 09:20:11\tVCFANNO\tSTARTED"
      source: folder
count:
  description: How many run.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import tasks
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure


def main() -> None:
    module = AnsibleModule(
        argument_spec={"work": {"type": "path", "required": True}, "api": {"type": "str"}},
        supports_check_mode=True,
    )
    try:
        running = tasks.running(module.params["work"], module.params["api"])
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    module.exit_json(changed=False, running=[task._asdict() for task in running], count=len(running))


if __name__ == "__main__":
    main()
