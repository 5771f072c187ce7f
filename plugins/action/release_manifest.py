# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's half of the module release_manifest: reads, checks and derives manifests."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.release_manifest import (
    ArchiveFound,
    ImageFound,
    ManifestError,
    PackageFound,
    ReleaseManifest,
    derive,
    dump,
    load,
)


class ActionModule(ActionBase):
    """Runs the module on the target, then turns what it found into a manifest."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        found = self._execute_module(task_vars=task_vars)
        if found.get("failed"):
            return {**result, **found}
        try:
            result.update(_manifest(found, self._task.args.get("release") or None))
        except (AnnoError, OSError) as error:
            result.update(failed=True, **failure(error))
        return {**result, "changed": False, "available": found["available"]}


def _manifest(found: dict[str, Any], release: str | None) -> dict[str, Any]:
    """What the task returns, from what the target knows (see ``manifest_search.inspect``)."""
    path, text = found["path"], found["text"]
    named = [artifact for artifact in (found["archive"], found["image"]) if artifact]
    if not named:
        return _result(load(text, path), path, text, found["reason"])
    files = " and ".join(artifact["file"] for artifact in named)
    derived = derive(_archive(found["archive"]), _image(found["image"]), release)
    if text is None:
        text = dump(derived, f"Derived from {files}, which came without a manifest.")
        return _result(derived, None, text, f"derived from {files}")
    manifest = load(text, path)
    if _digests(manifest) != _digests(derived):
        raise ManifestError(
            path,
            f"describes {_files(manifest)}",
            f"what was named: {_files(derived)}",
            f"Name another release with `-e release=…`, or run with `-e release={manifest.version}` alone.",
        )
    return _result(manifest, path, text, f"{path} describes {files}")


def _result(manifest: ReleaseManifest, path: str | None, text: str, reason: str) -> dict[str, Any]:
    return {
        "manifest": manifest.as_dict(),
        "digest": manifest.digest,
        "origin": "file" if path else "derived",
        "path": path,
        "text": text,
        "msg": f"{manifest.version}: {reason}",
    }


def _archive(found: dict[str, Any] | None) -> ArchiveFound | None:
    if found is None:
        return None
    return ArchiveFound(**{**found, "packages": [PackageFound(**package) for package in found["packages"]]})


def _image(found: dict[str, Any] | None) -> ImageFound | None:
    return None if found is None else ImageFound(**found)


def _digests(manifest: ReleaseManifest) -> list[str | None]:
    return [artifact.sha256 if artifact else None for artifact in (manifest.archive, manifest.image)]


def _files(manifest: ReleaseManifest) -> str:
    artifacts = [artifact for artifact in (manifest.archive, manifest.image) if artifact]
    return " and ".join(f"{artifact.file} (SHA-256 {artifact.sha256})" for artifact in artifacts)
