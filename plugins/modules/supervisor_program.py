#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: supervisor_program
short_description: Start, stop or restart a program under Supervisor and wait until it is there
description:
  - Talks to supervisord over XML-RPC with basic authentication, so that no password appears in a process list.
  - >-
    Returns when the program is C(RUNNING), or C(STOPPED), C(EXITED) or C(FATAL) for a stop. A program that
    does not come up fails the task with its exit status and the end of its log.
  - With C(check_mode=true) it is a look at the program - server, credentials and name are really checked.
version_added: 0.1.0
author: OUS AMG (@ousamg)
attributes:
  check_mode:
    description: Asks the server, predicts the result and changes nothing.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
  idempotent:
    description: A program that is already there is left alone. O(state=restarted) restarts it every time.
    support: partial
    details:
      - O(state=restarted) is not idempotent.
options:
  url:
    description:
      - Address of supervisord's HTTP server, such as V(http://p22-anno-01:9000). Without a path, V(/RPC2) is used.
      - A URL that holds credentials is refused.
    type: str
    required: true
  username:
    description: User name of supervisord's HTTP server.
    type: str
  password:
    description: Password of supervisord's HTTP server.
    type: str
  name:
    description: The program, as C(program) or C(group:program).
    type: str
    required: true
  state:
    description: What the program is to be.
    type: str
    required: true
    choices: [started, stopped, restarted]
  timeout:
    description: Seconds until the program must be there.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Stop the anno service of staging
  ousamg.anno.supervisor_program:
    url: http://p22-anno-01:9000
    username: "{{ lookup('ansible.builtin.env', 'ANNO_SUPERVISOR_USERNAME') }}"
    password: "{{ lookup('ansible.builtin.env', 'ANNO_SUPERVISOR_PASSWORD') }}"
    name: anno-staging
    state: stopped

- name: Look at it
  ousamg.anno.supervisor_program:
    url: http://p22-anno-01:9000
    username: "{{ lookup('ansible.builtin.env', 'ANNO_SUPERVISOR_USERNAME') }}"
    password: "{{ lookup('ansible.builtin.env', 'ANNO_SUPERVISOR_PASSWORD') }}"
    name: anno-staging
    state: started
  check_mode: true
  register: service
"""

RETURN = r"""
before:
  description: The program as it was found.
  returned: success
  type: dict
  contains: &program
    name:
      description: Name, with its group where that differs.
      type: str
    statename:
      description: >-
        C(STOPPED), C(STARTING), C(RUNNING), C(BACKOFF), C(STOPPING), C(EXITED) or C(FATAL).
      type: str
    pid:
      description: Process id, null unless there is a process.
      type: int
    start:
      description: Last start by the server's clock, ISO 8601 in UTC, null for never.
      type: str
    stop:
      description: Last end by the server's clock, ISO 8601 in UTC, null for never.
      type: str
    uptime:
      description: Seconds since the start, null unless there is a process.
      type: int
  sample:
    name: anno-staging
    statename: RUNNING
    pid: 4711
    start: '2026-03-02T09:14:01Z'
    stop: '2026-03-02T09:13:44Z'
    uptime: 86400
after:
  description: >-
    The program as it is now. In check mode the prediction, in which pid and times are null if they will change.
  returned: success
  type: dict
  contains: *program
planned:
  description: What had to be asked for, in this order.
  returned: success
  type: list
  elements: dict
  contains:
    action:
      description: V(stop) or V(start).
      type: str
    reason:
      description: Why.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import supervisor
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["started", "stopped", "restarted"]},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    p = module.params
    try:
        server = supervisor.Server(p["url"], p["username"], p["password"], p["timeout"])
        program = supervisor.inspect(server, p["name"])
        planned = supervisor.plan(program, p["state"])
        before = program.result()
        if module.check_mode:
            after = supervisor.predict(program, p["state"])
        else:
            after = supervisor.apply(server, program, p["state"], p["timeout"]).result()
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    module.exit_json(
        changed=bool(planned),
        before=before,
        after=after,
        planned=[action._asdict() for action in planned],
        diff={"before": _line(before), "after": _line(after)},
    )


def _line(program: dict[str, object]) -> str:
    return f"{program['name']}: {program['statename']}\n"


if __name__ == "__main__":
    main()
