# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a data folder says of itself: its two lists and the receipt of its generation."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import sources_json, vcfanno_config
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import DATA_READY
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.generation import read_receipt
from ansible_collections.ousamg.anno.plugins.module_utils.sources_json import Source

# Written anew for each generation; everything else at the top level is taken over.
LISTS = (sources_json.FILE_NAME, vcfanno_config.FILE_NAME)


class FolderError(AnnoError):
    """A file of the data folder is not what it should be."""


class Contents(NamedTuple):
    """The texts of ``sources.json`` and ``vcfanno_config.toml`` ('' where there is none), the entries of the former,
    and the receipt's records of packages by destination."""

    sources_text: str
    sources: Mapping[str, Source]
    config_text: str
    records: Mapping[str, Mapping[str, Any]]


class Change(NamedTuple):
    """One package: its version before (None: not there) and after (None: gone)."""

    name: str
    destination: str | None
    before: str | None
    after: str | None


def read_contents(folder: str) -> Contents:
    """Read a data folder, live or kept. Raises SourcesError, FolderError or OSError."""
    sources_path = os.path.join(folder, sources_json.FILE_NAME)
    sources_text = read_text(sources_path)
    sources = sources_json.parse(sources_text, sources_path) if sources_text else {}
    receipt = read_receipt(folder) or {}
    records = {record["destination"]: record for record in receipt.get("packages", [])}
    return Contents(sources_text, sources, read_text(os.path.join(folder, vcfanno_config.FILE_NAME)), records)


def read_text(path: str) -> str:
    """A UTF-8 file's text with its line ends as they are, '' where there is no file."""
    try:
        with open(path, encoding="utf-8", newline="", opener=_open_at_once) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise FolderError(path, "it is no regular file", "a text file", "Put the file there.")
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except UnicodeDecodeError as error:
        todo = "Mend the file, or restore it from a copy that is right."
        raise FolderError(path, f"it is not UTF-8 (byte {error.start})", "text", todo) from None


def _open_at_once(path: str, flags: int) -> int:
    """A FIFO in place of the file must not hang."""
    return os.open(path, flags | os.O_NONBLOCK)


def ready_digest(folder: str) -> str:
    """The SHA-256 of a package folder's DATA_READY; that of nothing where there is none."""
    return hashlib.sha256(read_text(os.path.join(folder, DATA_READY)).encode()).hexdigest()


def text_diff(name: str, before: str, after: str) -> dict[str, str]:
    """One part of what Ansible prints as a difference."""
    return {"before_header": f"{name} (live)", "after_header": f"{name} (next)", "before": before, "after": after}


def diff(changes: list[Change], before: Contents, sources_text: str, config_text: str) -> list[dict[str, str]]:
    """A switch as Ansible prints differences: package versions, and the texts of the two lists."""
    parts = [
        (
            "packages",
            "".join(f"{change.name}: {change.before}\n" for change in changes if change.before is not None),
            "".join(f"{change.name}: {change.after}\n" for change in changes if change.after is not None),
        ),
        (sources_json.FILE_NAME, before.sources_text, sources_text),
        (vcfanno_config.FILE_NAME, before.config_text, config_text),
    ]
    return [text_diff(name, old, new) for name, old, new in parts if old != new]


def source_digest(source: Source | None) -> str | None:
    """A digest of an entry's meaning, whatever its formatting."""
    if source is None:
        return None
    canonical = json.dumps([source.value, source.version, source.timestamp], sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
