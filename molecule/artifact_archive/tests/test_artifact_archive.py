"""After the role: the image and its manifest are in the archive, and nowhere else."""

import os
from pathlib import Path

from sandbox.sites import tsd_root

ROOT = Path(os.environ["ANNO_SANDBOX"])


def test_the_image_was_moved_and_has_at_least_the_mode_774(host):
    image = host.file(str(tsd_root(ROOT) / "archive/releases/anno-v3.2.0.sif"))
    assert image.is_file
    assert image.mode & 0o774 == 0o774
    assert not host.file(str(tsd_root(ROOT) / "incoming/anno-v3.2.0.sif")).exists


def test_the_manifest_is_recorded(host):
    recorded = host.file(str(tsd_root(ROOT) / "archive/releases/v3.2.0.yml"))
    assert recorded.content == host.file(str(tsd_root(ROOT) / "incoming/v3.2.0.yml")).content
