# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action that shows how far its module has come.

The module runs in the background of the target (as with ``async``) and writes its state to a small file; this side
looks at that file and at the job's result, both in one command, and prints a line now and then. The work does not
depend on the connection: when that breaks, this side tries again for a while, and the work goes on meanwhile.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.progress import duration, line

display = Display()

# Seconds: between two lines on the terminal; between two looks, at first and at most; the longest job.
_SHOW_EVERY = 5.0
_FIRST_LOOK, _LAST_LOOK = 0.1, 1.0
_LIMIT = 14 * 24 * 3600
# Seconds without a connection until this side gives up (the work does not), and between two tries.
_PATIENCE, _RETRY = 900.0, 2.0
# Between the parts of one look.
_CUT = "--anno--"


class ProgressAction(ActionBase):
    """Runs the module of the action's own name; its option ``progress`` names the file it writes its state to."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        args = dict(self._task.args)
        if self._task.check_mode:
            # Reads little, and Ansible runs nothing in the background there.
            return self._execute_module(module_args=args, task_vars=task_vars)
        folder = self.get_shell_option("async_dir", default="~/.ansible_async")
        own = f"{secrets.token_hex(8)}.progress"
        args.setdefault("progress", f"{folder}/{own}")
        self._task.async_val = _LIMIT
        try:
            job = self._execute_module(module_args=args, task_vars=task_vars, wrap_async=True)
        finally:
            # Otherwise Ansible would wait for the job in its own, silent way.
            self._task.async_val = 0
        if "ansible_job_id" not in job:
            return job
        self._host = (task_vars or {}).get("inventory_hostname", "")
        # Only the target knows what ~ is there: Ansible's own guess is another one where HOME is not the user's home.
        result = job["results_file"]
        folder = os.path.dirname(result)
        progress = f"{folder}/{own}" if args["progress"].endswith(own) else args["progress"]
        try:
            return self._follow(job["ansible_job_id"], result, progress)
        finally:
            # Two small files may stay where nobody answers any more.
            with contextlib.suppress(AnsibleConnectionFailure):
                self._low_level_execute_command(f"rm -f {shlex.quote(progress)} {shlex.quote(result)}")

    def _follow(self, job: str, result: str, progress: str) -> dict[str, Any]:
        # The brackets, which the shell takes for a pattern too, keep grep from finding itself and its shell.
        name = f"[{job[0]}]{job[1:]}"
        # The process was told its number without the pid at the end.
        number = name.partition(".")[0]
        alive = f"grep -ls '{number}' /proc/[0-9]*/cmdline || [ -r /proc/self/cmdline ] || echo unknown"
        folder = shlex.quote(os.path.dirname(result))
        parts = (alive, f"cat {shlex.quote(progress)} 2>/dev/null", f"cat {folder}/{name}")
        look = f"; echo {_CUT}; ".join(parts)
        wait, shown, last = _FIRST_LOOK, float("-inf"), ""
        while True:
            answer = self._ask(look)
            if answer is None:
                return self._lost(result)
            process, state, output = ([*answer["stdout"].split(f"{_CUT}\n"), "", ""])[:3]
            told, outcome = _read(state, {}), _read(output, {"started": 1})
            done = "started" not in outcome
            text = line(told) if told else ""
            if text and (time.monotonic() - shown >= _SHOW_EVERY or (done and text != last)):
                shown, last = time.monotonic(), text
                self._say(text)
            # Where the module leaves no result, Ansible's wrapper puts its own there, with the command and a traceback.
            if "cmd" in outcome or (not done and not process.strip()):
                return self._died(result, str(outcome.get("stderr") or ""))
            if done:
                return self._parse_returned_data({**answer, "stdout": output}, "legacy")
            time.sleep(wait)
            wait = min(wait * 1.5, _LAST_LOOK)

    def _ask(self, command: str) -> dict[str, Any] | None:
        """The command's answer; None where the target could not be reached for too long."""
        broken = None
        while True:
            try:
                answer = self._low_level_execute_command(command)
            except AnsibleConnectionFailure as error:
                if broken is None:
                    broken = time.monotonic()
                    self._say("the connection is lost, the work goes on there; trying again …")
                    display.vv(str(error))
                if time.monotonic() - broken > _PATIENCE:
                    return None
                with contextlib.suppress(Exception):  # what is left of it is in the way of a new one
                    self._connection.reset()
                time.sleep(_RETRY)
                continue
            if broken is not None:
                self._say(f"connected again after {duration(time.monotonic() - broken)}")
            # ssh with a terminal ends lines as terminals do.
            return {**answer, "stdout": answer["stdout"].replace("\r\n", "\n")}

    def _say(self, text: str) -> None:
        # Where the output is a file or a pipe, Python keeps stdout back until 8 KiB are together; never so stderr.
        display.display(f"[{self._host}] {text}", stderr=True)

    def _lost(self, result: str) -> dict[str, Any]:
        found = f"{self._host} has not answered for {duration(_PATIENCE)}; {self._task.action} works on there by itself"
        todo = "Restore the connection and run again: while the work goes on the lock says so, then it is taken over."
        return {"failed": True, **AnnoError(result, found, "a connection to its end", todo).result()}

    def _died(self, result: str, last_words: str) -> dict[str, Any]:
        found = f"the process of {self._task.action} on {self._host} ended without a result"
        if last_words.strip():
            found += f" ({last_words.strip().splitlines()[-1]})"
        todo = "Look for why it was ended (memory, a reboot, a kill), then run again: it converges."
        return {"failed": True, **AnnoError(result, found, "its result", todo).result()}


def _read(text: str, otherwise: dict[str, Any]) -> dict[str, Any]:
    """A JSON object, or ``otherwise`` while the file is missing or half written."""
    try:
        value = json.loads(text)
    except ValueError:
        return otherwise
    return value if isinstance(value, dict) else otherwise
