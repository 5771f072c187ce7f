# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: live_table
short_description: What is live where, as a table of text
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Turns what M(ousamg.anno.instance_info) found at several sites into one table, a column for each instance.
options:
  _input:
    description: >-
      A list with a dict for each site: C(site) (its name) and C(instances) (as the module returns them, null where the
      site could not be asked).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Look what is live
  ousamg.anno.instance_info:
    instances:
      staging:
        data: /srv/anno/anno-staging/data
        image_link: /srv/anno/anno-staging/anno.sif
        ledger: /srv/anno/anno-staging/deployments.jsonl
  register: found

- name: Show it
  ansible.builtin.debug:
    msg: "{{ [{'site': 'TSD', 'instances': found.instances}] | ousamg.anno.live_table }}"
"""

RETURN = r"""
_value:
  description: The table.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.ousamg.anno.plugins.module_utils.instance import table


def live_table(sites: list[dict[str, Any]]) -> str:
    columns: list[tuple[str, dict[str, Any] | None]] = []
    for site in sites:
        instances = site["instances"] or {"": None}
        columns += [(f"{site['site']} {env}".strip(), live) for env, live in instances.items()]
    return table(columns)


class FilterModule:
    """Ansible looks for the filters of a file here."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"live_table": live_table}
