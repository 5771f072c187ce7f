"""Programs that answer as Singularity does, where no image can be run."""

from __future__ import annotations

from pathlib import Path


def stand_in(folder: Path, body: str) -> str:
    """Runs the shell code given, with the arguments of Singularity."""
    path = folder / "singularity"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def answering(folder: Path, ella_anno: str, anno_targets: str) -> str:
    """Answers ``exec IMAGE cat FILE - FILE`` for an image with these version files, with a cat of its own."""
    (folder / "1").write_text(ella_anno)
    (folder / "2").write_text(anno_targets)
    command = "exec cat /anno/version - /anno-targets/version"
    body = f'[ "$1 $3 $4 $5 $6" = "{command}" ] || exit 99\necho INFO: hello >&2\nexec cat {folder}/1 - {folder}/2'
    return stand_in(folder, body)
