#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: checklist_info
short_description: Answer the reviewer's checklist for the instances of a site
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Checks each instance against the release that its ledger says is live, one line for each thing that the reviewer of
    a deployment looks at, each with what was looked at.
  - Reads only. What is wrong, or cannot be read, is a line that has failed and no failure of the module.
  - An action plugin reads the release manifests and judges on the controller, which needs PyYAML and jsonschema.
options:
  instances:
    description:
      - The instances of the site by env, each with C(data), C(image_link) and C(ledger), and where the site has them
        C(supervisor) (with C(url) and C(program)) and C(ella_tracks). Other keys are ignored.
      - Where an env has no test of its own, that of C(staging) counts if it was of the same manifest.
    type: dict
    required: true
  envs:
    description: The envs to check. All of O(instances) if left out.
    type: list
    elements: str
  images:
    description: The folder of the images. Where it is left out, each instance's is that of its link.
    type: path
  releases:
    description: The folders of the release manifests.
    type: list
    elements: path
    required: true
  mode:
    description: Permission bits that everything has at least; four octal digits in quotes.
    type: str
    default: "0774"
  username:
    description: User name of Supervisor.
    type: str
  password:
    description: Password of Supervisor.
    type: str
  singularity:
    description: The executable of Singularity or Apptainer, a path or a name on E(PATH). Left out, images are not run.
    type: str
  tracks:
    description:
      - The tracks of ELLA that are checked in C(ella_tracks).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The track; its file is C(<name>-current.vcf.gz).
        type: str
        required: true
      package:
        description: The package that it is made from.
        type: str
        required: true
      file:
        description: A pattern for the name of the one annotation file of the package that is the track.
        type: str
        default: "*"
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: full
  idempotent:
    description: Reads only.
    support: full
"""

EXAMPLES = r"""
- name: Check what is live in staging
  ousamg.anno.checklist_info:
    instances:
      staging:
        data: /srv/anno/anno-staging/data
        image_link: /srv/anno/anno-staging/anno.sif
        ledger: /srv/anno/anno-staging/deployments.jsonl
    images: /srv/anno/archive/releases
    releases:
      - /srv/anno/archive/releases
  register: checked
"""

RETURN = r"""
checklists:
  description: The lines by env. A line that a site has no use for (service, tracks) is not there.
  returned: success
  type: dict
  contains:
    staging:
      description: The lines of that env, in the order of the deployment.
      type: list
      elements: dict
      contains:
        line:
          description: What is checked.
          type: str
        state:
          description: V(ok), V(failed), V(warning), or V(not_checked) where it cannot be told.
          type: str
        evidence:
          description: What was looked at.
          type: str
        found:
          description: What is wrong, or null.
          type: str
        expected:
          description: What should be, or null.
          type: str
        todo:
          description: What to do next, or null.
          type: str
  sample:
    staging:
      - line: image
        state: failed
        evidence: /srv/anno/anno-staging/anno.sif → ../archive/releases/anno-v3.1.0.sif
        found: /srv/anno/anno-staging/anno.sif leads to /srv/anno/archive/releases/anno-v3.1.0.sif
        expected: /srv/anno/archive/releases/anno-v3.2.0.sif (v3.2.0)
        todo: Deploy the release again, or find out who changed it.
failures:
  description: The lines that have failed, as V(env:line) with a space between.
  returned: success
  type: list
  elements: str
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import checklist_facts
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import parse_mode

_TRACK = {
    "name": {"type": "str", "required": True},
    "package": {"type": "str", "required": True},
    "file": {"type": "str", "default": "*"},
}
_PATHS = ("data", "image_link", "ledger")
_SERVICE = ("url", "program")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instances": {"type": "dict", "required": True},
            "envs": {"type": "list", "elements": "str"},
            "images": {"type": "path"},
            "releases": {"type": "list", "elements": "path", "required": True},
            "mode": {"type": "str", "default": "0774"},
            "username": {"type": "str"},
            "password": {"type": "str", "no_log": True},
            "singularity": {"type": "str"},
            "tracks": {"type": "list", "elements": "dict", "default": [], "options": _TRACK},
        },
        supports_check_mode=True,
    )
    p = module.params
    found = []
    try:
        mode = parse_mode(p["mode"])
    except AnnoError as error:
        module.fail_json(**failure(error))
    tools = checklist_facts.Tools(p["username"], p["password"], p["singularity"], mode, p["tracks"])
    instances = {env: known if isinstance(known, dict) else {} for env, known in p["instances"].items()}
    staging = instances.get("staging", {}).get("ledger")
    for env in p["envs"] or instances:
        known = instances.get(env, {})
        missing = [key for key in _PATHS if not isinstance(known.get(key), str)]
        service = known.get("supervisor")
        if service:
            given = service if isinstance(service, dict) else {}
            missing += [f"supervisor.{key}" for key in _SERVICE if not isinstance(given.get(key), str)]
        if missing:
            module.fail_json(msg=f"instances.{env}: {', '.join(missing)} is missing. What to do: add it.")
        instance = checklist_facts.Instance(
            env, known["data"], known["image_link"], p["images"] or os.path.dirname(known["image_link"]),
            known["ledger"], p["releases"], service, known.get("ella_tracks"),
        )  # fmt: skip
        found.append(checklist_facts.inspect(instance, staging if env != "staging" else None, tools))
    # The action plugin judges this on the controller.
    module.exit_json(changed=False, instances=found, mode=p["mode"])


if __name__ == "__main__":
    main()
