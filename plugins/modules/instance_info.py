#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: instance_info
short_description: Tell what is live in the instances of a site
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Reads the data folder, the image link and the ledger of each instance. What cannot be read is told as a problem of
    that instance, it is no failure.
options:
  instances:
    description: The instances by env, each with C(data), C(image_link) and C(ledger); other keys are ignored.
    type: dict
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
"""

EXAMPLES = r"""
- name: Look what is live
  ousamg.anno.instance_info:
    instances:
      staging:
        data: /srv/anno/anno-staging/data
        image_link: /srv/anno/anno-staging/anno.sif
        ledger: /srv/anno/anno-staging/deployments.jsonl
"""

RETURN = r"""
instances:
  description: >-
    By env: C(release), C(deployed) and C(by) as the ledger tells of the last deployment that ended well, C(image) (the
    name of the file that the link leads to), C(generation), C(packages) (name to version) and C(problems) (texts).
  returned: success
  type: dict
  sample:
    staging:
      release: v3.2.0
      deployed: "2026-11-24T03:15:00.123Z"
      by: release-responsible
      image: anno-v3.2.0.sif
      generation: 20261124T031500123Z-5891b5b5
      packages:
        clinvar: "20231105"
      problems: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import instance


def main() -> None:
    module = AnsibleModule(
        argument_spec={"instances": {"type": "dict", "required": True}},
        supports_check_mode=True,
    )
    found = {}
    for env, paths in module.params["instances"].items():
        missing = [key for key in ("data", "image_link", "ledger") if not isinstance(paths.get(key), str)]
        if missing:
            module.fail_json(msg=f"instances.{env}: {', '.join(missing)} is missing. What to do: add it.")
        found[env] = instance.inspect(paths["data"], paths["image_link"], paths["ledger"])._asdict()
    module.exit_json(changed=False, instances=found)


if __name__ == "__main__":
    main()
