"""What is interrupted: a small instance with real parts, and how it must look before and after."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import support_data
from ansible_collections.ousamg.anno.plugins.module_utils import data_rollback, data_unpack, generation
from sandbox import packages
from sandbox.archive import make_archive
from support_tree import contents

from torture import worker

Tree = dict[str, str]
ACTIVATE = "activate"
# The packages that the archive replaces or brings; the rest is the same before and after.
FOLDERS = (support_data.CLINVAR, support_data.SEQREPO, support_data.FASTA)


class Scene(NamedTuple):
    """A copy of the scene to be spoilt."""

    top: Path

    @property
    def data(self) -> Path:
        return support_data.site(self.top).data

    @property
    def archive(self) -> Path:
        return support_data.site(self.top).archive

    @property
    def state(self) -> Path:
        return self.data.parent / ".data.anno"

    def kept(self) -> list[str]:
        return [kept.id for kept in generation.kept(generation.Store(str(self.data), str(self.state)))]

    def unpack(self, strategy: str, *, activate: bool = True) -> bool:
        """Undisturbed; whether something was to be done."""
        request = worker.request(str(self.archive), str(self.data), strategy=strategy, activate=activate)
        return bool(data_unpack.apply(request)[1].reasons)

    def roll_back(self, to: str | None = None) -> bool:
        return data_rollback.apply(str(self.data), to, True)[1] is not None


class Original(NamedTuple):
    """The scene as it is before each interruption, the two contents that a reader may find, and the generations that
    are kept, the latest first."""

    top: Path
    work: str
    old: Tree
    new: Tree
    kept: list[str]

    def copy(self, top: Path) -> Scene:
        """A copy with its hard links; it replaces what is there."""
        if top.exists():
            shutil.rmtree(top)
        subprocess.run(["cp", "-a", str(self.top), str(top)], check=True)
        return Scene(top)

    def arguments(self, scene: Scene) -> list[str]:
        """The worker's."""
        if self.work == worker.ROLLBACK:
            return [worker.ROLLBACK, str(scene.data), self.kept[0]]
        return [worker.UNPACK, str(scene.data), str(scene.archive)]

    def again(self, scene: Scene, strategy: str) -> bool:
        """The same work undisturbed; whether something was to be done."""
        return scene.roll_back(self.kept[0]) if self.work == worker.ROLLBACK else scene.unpack(strategy)


def make(top: Path, work: str, strategy: str) -> Original:
    """Make it: data that were made by hand and updated once. What is interrupted is a second update (``unpack``), one
    that was made ready before (``activate``), or the way back from it (``rollback``)."""
    site = support_data.make_site(top)
    update = top / "update"
    packages.data_folder(update, {"hgmd": "2023.3"})
    first = top / "hgmd_2023.3.tar"
    make_archive(first, update, ["hgmd"])
    shutil.rmtree(update)
    data_unpack.apply(worker.request(str(first), str(site.data), strategy=strategy))
    scene = Scene(top)
    old = contents(site.data)
    reference = Original(top, worker.UNPACK, old, old, []).copy(top.with_name(top.name + ".new"))
    reference.unpack(strategy)
    new = contents(reference.data)
    shutil.rmtree(reference.top)
    if work == ACTIVATE:
        scene.unpack(strategy, activate=False)
    elif work == worker.ROLLBACK:
        scene.unpack(strategy)
        old, new = new, old
    return Original(top, work, old, new, scene.kept())
