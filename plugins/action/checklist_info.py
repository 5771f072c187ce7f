# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module checklist_info: reads the release manifests and judges what was found."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.ousamg.anno.plugins.module_utils.checklist import FAILED, judge, read_manifests
from ansible_collections.ousamg.anno.plugins.module_utils.files import parse_mode
from ansible_collections.ousamg.anno.plugins.module_utils.release_manifest import load


class ActionModule(ActionBase):
    """Runs the module on the target, then turns its facts into the lines of the checklist."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        found = self._execute_module(task_vars=task_vars)
        if found.get("failed") or found.get("unreachable"):
            return {**result, **found}
        checklists = {
            facts["env"]: [
                line._asdict()
                for line in judge(facts, read_manifests(facts["manifests"], load), parse_mode(found["mode"]))
            ]
            for facts in found["instances"]
        }
        failures = [
            f"{env}: {line['line']}" for env, lines in checklists.items() for line in lines if line["state"] == FAILED
        ]
        return {**result, "changed": False, "checklists": checklists, "failures": failures}
