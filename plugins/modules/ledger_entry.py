#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ledger_entry
short_description: Append to the deployment ledger of an instance
description:
  - The ledger holds one JSON object per line. Lines are appended and never rewritten.
  - >-
    A V(start) takes the lock C(<path>.lock), an V(end) frees it. A start while another deployment holds it fails
    and tells who that is. A deployment of the same controller whose process is gone is ended with the message
    C(interrupted), and its lock taken over.
  - User, host and process of the controller are filled in by the action plugin of the same name.
version_added: 0.1.0
author: OUS AMG (@ousamg)
attributes:
  check_mode:
    description: Writes nothing. A start that would be refused fails here too.
    support: full
  diff_mode:
    description: Shows the lines that are appended.
    support: full
  idempotent:
    description: Entries that are the last ones of their deployment already are not appended again.
    support: full
options:
  path:
    description: The ledger. Its folder must exist.
    type: path
    required: true
  deployment:
    description: Id of the run, different for every run.
    type: str
    required: true
  site:
    description: Where it is deployed.
    type: str
  env:
    description: Which of the site's instances.
    type: str
  release:
    description: Version of the release.
    type: str
  manifest:
    description: Digest of the release manifest.
    type: str
  entries:
    description: What to append, in this order and at once.
    type: list
    elements: dict
    required: true
    suboptions:
      event:
        description: What happened. Only V(start) and V(end) touch the lock.
        type: str
        required: true
        choices: [start, switch, test, end]
      what:
        description: What it happened to.
        type: str
        choices: [data, image, service]
      before:
        description: How that was, in any form.
        type: raw
      after:
        description: How that is now, in any form.
        type: raw
      outcome:
        description: How it went.
        type: str
        choices: [ok, partial, failed, rolled_back]
      comment:
        description: A word to the reader, recorded as C(message).
        type: str
  by:
    description: User on the controller. Set by the action plugin.
    type: str
  from:
    description: Host name of the controller. Set by the action plugin.
    type: str
  controller_pid:
    description: Process id of C(ansible-playbook). Set by the action plugin.
    type: int
  takeover:
    description: A deployment whose process is known to be gone. Set by the action plugin.
    type: str
"""

EXAMPLES = r"""
- name: Record the start and take the lock
  ousamg.anno.ledger_entry:
    path: /srv/anno/anno-prod/deployments.jsonl
    deployment: 20260302T091401-4711
    site: TSD
    env: prod
    release: v3.2.0a
    manifest: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    entries:
      - event: start

- name: Record a switch and the end
  ousamg.anno.ledger_entry:
    path: /srv/anno/anno-prod/deployments.jsonl
    deployment: 20260302T091401-4711
    site: TSD
    env: prod
    release: v3.2.0a
    manifest: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
    entries:
      - event: switch
        what: image
        before: anno-v3.1.0.sif
        after: anno-v3.2.0.sif
      - event: end
        outcome: ok
"""

RETURN = r"""
entries:
  description: The appended entries, including that of an interrupted deployment.
  returned: success
  type: list
  elements: dict
  sample:
    - time: '2026-03-02T09:14:01.204Z'
      deployment: 20260302T091401-4711
      event: start
      site: TSD
      env: prod
      release: v3.2.0a
      manifest: 5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef
      what: null
      before: null
      after: null
      outcome: null
      message: null
      by: release-responsible
      from: controller
      as: anno
interrupted:
  description: Id of the deployment that never ended and whose place this one takes; null if there is none.
  returned: success
  type: str
holder:
  description: Who holds the lock.
  returned: when another deployment holds it
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

_ENTRY = {
    "event": {"type": "str", "required": True, "choices": ["start", "switch", "test", "end"]},
    "what": {"type": "str", "choices": ["data", "image", "service"]},
    "before": {"type": "raw"},
    "after": {"type": "raw"},
    "outcome": {"type": "str", "choices": ["ok", "partial", "failed", "rolled_back"]},
    "comment": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "deployment": {"type": "str", "required": True},
            "site": {"type": "str"},
            "env": {"type": "str"},
            "release": {"type": "str"},
            "manifest": {"type": "str"},
            "entries": {"type": "list", "elements": "dict", "required": True, "options": _ENTRY},
            "by": {"type": "str"},
            "from": {"type": "str"},
            "controller_pid": {"type": "int"},
            "takeover": {"type": "str"},
        },
        supports_check_mode=True,
    )
    p = dict(module.params)
    path = p.pop("path")
    for entry in p["entries"]:
        entry["message"] = entry.pop("comment")  # Ansible keeps an argument of that name for itself
    request = ledger.Request(host=p.pop("from"), pid=p.pop("controller_pid"), **p)
    try:
        done = ledger.append(path, request, check=module.check_mode)
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    result = {
        "changed": done.changes,
        "entries": [entry.as_dict() for entry in done.lines],
        "interrupted": done.interrupted,
    }
    # Ansible shows a returned difference even where the task asks for none.
    if module._diff:
        result["diff"] = {"before": "", "after": ledger.as_lines(done.lines)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
