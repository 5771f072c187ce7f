# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""vcfanno itself, from this host or from a Singularity image, on one VCF with a live data folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import Callable, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import vcfanno_config
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.tasks import last_lines

_POLL = 0.1


class VcfannoError(AnnoError):
    """vcfanno cannot be run, fails, or does not end."""


class Program(NamedTuple):
    """``vcfanno`` is the executable; with ``singularity`` it is the one in ``image``."""

    vcfanno: str
    singularity: str | None = None
    image: str | None = None

    def command(self, data: str, folder: str) -> list[str]:
        """The command line that annotates ``in.vcf`` of a folder. Data and folder have the same path in a container."""
        config = os.path.join(data, vcfanno_config.FILE_NAME)
        own = [self.vcfanno, "-p", "1", "-base-path", data, config, os.path.join(folder, "in.vcf")]
        if not self.singularity or not self.image:
            return own
        return [self.singularity, "exec", "--bind", data, "--bind", folder, self.image, *own]

    def __str__(self) -> str:
        return f"{self.singularity} exec {self.image} {self.vcfanno}" if self.singularity else self.vcfanno


def annotate(program: Program, data: str, folder: str, deadline: float, waiting: Callable[[], None]) -> str:
    """Annotate ``in.vcf`` of a folder; the path of the annotated VCF beside it.

    :param deadline: until when it must have ended, by time.monotonic().
    :param waiting: called while it runs.
    Raises VcfannoError or OSError.
    """
    output, log = os.path.join(folder, "output.vcf"), os.path.join(folder, "output.log")
    command = program.command(data, folder)
    with open(output, "wb") as out, open(log, "wb") as err:
        try:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
            )
        except OSError as error:
            todo = "Install it on this host, or name it (minimal_test_vcfanno, minimal_test_singularity)."
            raise VcfannoError(command[0], f"it cannot be run ({error.strerror})", "a program", todo) from None
        try:
            while process.poll() is None:
                if time.monotonic() > deadline:
                    todo = "Look whether the machine is busy; give it more time (minimal_test_timeout)."
                    raise VcfannoError(str(program), f"it has not ended in time{_tail(log)}", "an end", todo)
                waiting()
                time.sleep(_POLL)
        finally:
            if process.poll() is None:
                # With what it has started itself.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if process.returncode != 0:
        todo = "Mend what it tells: the data folder, its vcfanno_config.toml or the image."
        found = f"it ended with status {process.returncode}{_tail(log)}"
        raise VcfannoError(str(program), found, "status 0", todo)
    return output


def _tail(log: str) -> str:
    lines = last_lines(log)
    return ". The end of its log:\n" + "\n".join(lines) + "\n(end of the log)" if lines else ""
