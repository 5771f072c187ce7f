# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Singularity or Apptainer say of an image: the versions inside it, and whether its signatures are good."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from typing import NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.files import remove_tree

_VERSION_FILES = {"ella_anno": "/anno/version", "anno_targets": "/anno-targets/version"}
# Goes between the two files: a version file may lack its last newline, and JSON may have many.
_SEPARATOR = "\n-- 4b9a0e --\n"
# Without FUSE Singularity unpacks the whole image before it runs anything.
_TIMEOUT = 600.0
_TEMPORARY = ("APPTAINER_TMPDIR", "SINGULARITY_TMPDIR")
# What would show something of the host in the place of what the image holds.
_MISLEADING = ("BIND", "BINDPATH", "MOUNT", "OVERLAY")


class SingularityError(AnnoError):
    """An image that cannot be run here, or does not say its versions."""


class Verification(NamedTuple):
    """``good``: whether every signature is good and of a key that this user has; ``words``: what Singularity says."""

    good: bool
    words: str


class _Done(NamedTuple):
    code: int
    output: str
    messages: str


def find(singularity: str) -> str | None:
    """The path of the executable, given as a path or a name on PATH; None where there is none."""
    return shutil.which(singularity)


def read_versions(path: str, singularity: str, timeout: float = _TIMEOUT) -> dict[str, str]:
    """The tags of ella-anno and anno-targets, as the image itself states them: ``{"ella_anno": …, "anno_targets": …}``.

    :param singularity: the path of the executable; it runs once.
    :param timeout: seconds that it may take.
    Raises SingularityError where the image cannot be run or holds no such files.
    """
    first, second = _VERSION_FILES.values()
    # cat reads "-" from its stdin.
    command = [singularity, "exec", os.path.abspath(path), "cat", first, "-", second]
    done = _run(path, command, _SEPARATOR, timeout)
    texts = done.output.split(_SEPARATOR)
    if done.code != 0 or len(texts) != len(_VERSION_FILES):
        answer = f"ended with {done.code}: {_reason(done)}" if done.code != 0 else f"wrote {done.output[:80]!r}"
        found = f"`{' '.join(command)}` {answer}"
        raise SingularityError(path, found, "the content of both files", "Run the command by hand on this host.")
    pairs = zip(_VERSION_FILES.items(), texts)
    return {name: _tag(path, file, text) for (name, file), text in pairs}


def verify(path: str, singularity: str, timeout: float = _TIMEOUT) -> Verification:
    """Whether Singularity verifies the signatures, with the keys that this user has and without a network."""
    done = _run(path, [singularity, "verify", "--local", os.path.abspath(path)], "", timeout)
    return Verification(done.code == 0, _reason(done))


def _run(path: str, command: list[str], stdin: str, timeout: float) -> _Done:
    # Singularity unpacks into a folder that it leaves behind when it is ended: it gets one of its own.
    folder = tempfile.mkdtemp(prefix="sif-info-", dir=next(filter(None, map(os.environ.get, _TEMPORARY)), None))
    try:
        return _run_with(_environment(folder), path, command, stdin, timeout)
    finally:
        remove_tree(folder)


def _run_with(environment: dict[str, str], path: str, command: list[str], stdin: str, timeout: float) -> _Done:
    with subprocess.Popen(
        command,
        # The caller's folder need not exist in the container.
        cwd="/",
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A group of its own, so that what Singularity starts can be ended with it.
        start_new_session=True,
    ) as process:
        try:
            output, messages = process.communicate(stdin.encode(), timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            # When its pipes are closed nothing of it runs any more.
            process.communicate()
            found = f"`{' '.join(command)}` gave no answer in {timeout:g} seconds"
            todo = "Run the command by hand on this host."
            raise SingularityError(path, found, "an answer", todo) from None
    return _Done(process.returncode, output.decode(errors="replace"), messages.decode(errors="replace"))


def _environment(temporary: str) -> dict[str, str]:
    misleading = {f"{program}_{name}" for program in ("APPTAINER", "SINGULARITY") for name in _MISLEADING}
    kept = {name: value for name, value in os.environ.items() if name not in misleading}
    return kept | dict.fromkeys(_TEMPORARY, temporary)


def _reason(done: _Done) -> str:
    """Singularity's last messages that are more than information: a reason may have several lines."""
    lines = [line.strip() for line in done.messages.splitlines()]
    reasons = [line for line in lines if line and not line.startswith(("INFO", "DEBUG"))]
    return " / ".join(reasons[-3:]) or "no message"


def _tag(path: str, file: str, content: str) -> str:
    """The tag in a version file: JSON with the key ``tag``, or the tag alone."""
    try:
        parsed = json.loads(content)
    except ValueError:
        parsed = {"tag": content.strip()}
    tag = parsed.get("tag") if isinstance(parsed, dict) else None
    if not isinstance(tag, str) or len(tag.split()) != 1:
        found = f"{file} in the image holds {content[:80]!r}"
        todo = "Build the image anew from a tagged commit."
        raise SingularityError(path, found, "JSON with a tag, or a tag alone", todo)
    return tag
