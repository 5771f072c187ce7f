# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: checklist_text
short_description: The reviewer's checklist as text
version_added: 0.1.0
author: OUS AMG (@ousamg)
description:
  - Turns what M(ousamg.anno.checklist_info) found at several sites into one table for the terminal, or into a Markdown
    checklist for the release issue.
options:
  _input:
    description: >-
      A list with a dict for each site: C(site) (its name), C(checklists) (as the module returns them, null where the
      site could not be asked) and C(problem) (why it could not).
    type: list
    elements: dict
    required: true
  form:
    description: Which text.
    type: str
    choices: [table, markdown]
    default: table
  when:
    description: When it was checked, for V(markdown).
    type: str
    default: ""
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
  register: found

- name: Show the checklist
  ansible.builtin.debug:
    msg: "{{ [{'site': 'TSD', 'checklists': found.checklists, 'problem': none}] | ousamg.anno.checklist_text }}"
"""

RETURN = r"""
_value:
  description: The text.
  type: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.ousamg.anno.plugins.module_utils.checklist_text import markdown, table


def checklist_text(sites: list[dict[str, Any]], form: str = "table", when: str = "") -> str:
    return markdown(sites, when) if form == "markdown" else table(sites)


class FilterModule:
    """Ansible looks for the filters of a file here."""

    def filters(self) -> dict[str, Callable[..., str]]:
        return {"checklist_text": checklist_text}
