"""Changes single bytes of an image."""

from __future__ import annotations

from pathlib import Path


def patch(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)
