# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adds to ledger_entry what only the controller knows: who deploys, from where, and which deployers are gone."""

from __future__ import annotations

import getpass
import os
import socket
from typing import Any

from ansible.plugins.action import ActionBase

MODULE = "ousamg.anno.ledger_entry"


class ActionModule(ActionBase):
    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        here = socket.gethostname()
        args = dict(self._task.args)
        # This is a worker; the process that lives as long as the deployment is its parent, ansible-playbook.
        args |= {"by": getpass.getuser(), "from": here, "controller_pid": os.getppid()}
        args.pop("takeover", None)
        result: dict[str, Any] = self._execute_module(MODULE, args, task_vars=task_vars)
        holder = result.get("holder") or {}
        if result.get("failed") and holder.get("from") == here and _is_gone(holder.get("pid")):
            # Only the controller can tell: on the target the same number may be any process, or none.
            args["takeover"] = holder["deployment"]
            result = self._execute_module(MODULE, args, task_vars=task_vars)
        return result


def _is_gone(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:  # alive, and somebody else's
        return False
    return False
