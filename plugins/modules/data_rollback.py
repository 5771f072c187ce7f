#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: data_rollback
short_description: Switch a data folder back to a kept generation
version_added: 0.1.0
description:
  - Makes a former generation of a data folder the live one, by the same atomic switch that replaced it. What was live
    is kept, so a second rollback returns to it. No tree is walked, so that it takes as long for any size.
  - Refused, before anything is switched, where the generation is not complete any more (without its C(sources.json), or
    without a package folder or C(DATA_READY) that its receipt tells of).
options:
  data:
    description: The data folder.
    type: path
    required: true
  to:
    description: The id of the generation to be live. By default the one that was live before.
    type: str
  keep:
    description:
      - With V(false) what is live now is not kept as a generation to return to, but made ready as the next one again.
      - A deployment that fails after its switch uses it, to leave everything as it was, also where that was not
        complete (the empty folder of a first deployment).
    type: bool
    default: true
attributes:
  check_mode:
    description: A dry run checks everything and predicts what the run then does. It writes nothing.
    support: full
  diff_mode:
    description: Shows the versions of the packages, and the text of C(sources.json) and C(vcfanno_config.toml).
    support: full
  idempotent:
    description: With O(to) a second run changes nothing. Without it each run returns to what was live before.
    support: partial
author:
  - OUS AMG (@ousamg)
"""

EXAMPLES = r"""
- name: Return to the generation before
  ousamg.anno.data_rollback:
    data: /srv/anno/anno-staging/data
"""

RETURN = r"""
packages:
  description: What changes, package by package.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The package, or its folder where the archive does not tell which package it is.
      type: str
    destination:
      description: Its folder below the data folder; null where a rollback does not say it.
      type: str
    before:
      description: The version that was there, null for a new package.
      type: str
    after:
      description: The version that is there now, null for one that is gone.
      type: str
  sample:
    - name: clinvar
      destination: variantDBs/clinvar
      before: "20230504"
      after: "20231105"
generation:
  description: The live generation's id, also as a dry run predicts it.
  returned: success
  type: str
  sample: 20261124T031500123Z-5891b5b5
previous:
  description: The generation that was live before this run, null where nothing was switched.
  returned: success
  type: str
strategy:
  description: How it was switched, as of M(ousamg.anno.data_unpack). Null where nothing was switched. A dry run tells
    it for a partial generation.
  returned: success
  type: str
caveat:
  description: As of M(ousamg.anno.data_unpack).
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import data_rollback
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "required": True},
            "to": {"type": "str"},
            "keep": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    outcome = None
    try:
        if module.check_mode:
            plan = data_rollback.check(**module.params)
        else:
            plan, outcome = data_rollback.apply(**module.params)
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    if outcome is not None and outcome.caveat:
        module.warn(outcome.caveat)
    module.exit_json(**data_rollback.result(plan, outcome))


if __name__ == "__main__":
    main()
