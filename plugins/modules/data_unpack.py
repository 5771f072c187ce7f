#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: data_unpack
short_description: Unpack a data archive into a data folder as one switch
version_added: 0.1.0
description:
  - Builds the next generation of a data folder beside the live one. The packages of the archive are extracted and
    verified against their C(MD5SUM), everything else is hard-linked, C(sources.json) and C(vcfanno_config.toml) follow.
  - When all of it is on disk, one atomic exchange makes it the live one. After a failure, a kill or a full disk the
    data folder is as it was, and a second run does what is left to do.
  - Needs C(tomlkit) on the target.
options:
  src:
    description:
      - The data archive on the target, as C(make tar-data) of ella-anno writes it, or compressed with gzip or zstd.
        Its content tells, not its name.
      - A compressed one takes longer. It is decompressed once to be checked, in a dry run too, and once more to be
        unpacked. For zstd the target needs Python 3.14 or one of the packages C(backports.zstd) and C(zstandard).
    type: path
    required: true
  data:
    description: The data folder. It has to exist.
    type: path
    required: true
  sha256:
    description: The SHA-256 of the archive file as it lies there, as hexadecimal digits. Compared in the same pass that
      unpacks it.
    type: str
  packages:
    description: Unpack only these packages of the archive.
    type: list
    elements: str
  datasets:
    description: Paths of C(datasets.json) files on the target. They tell which folder belongs to which package.
    type: list
    elements: path
    default: []
  mode:
    description: The mode of the files, in octal digits. Folders may be entered by whoever may read them. A package that
      is in place already keeps its mode, owner and group, because kept generations share its files.
    type: str
    default: "0774"
  owner:
    description: The owner of the files. Only root may give files away.
    type: str
  group:
    description: The group of the files.
    type: str
  activate:
    description: With V(false) the next generation is made ready and verified, and not switched to.
    type: bool
    default: true
  keep_generations:
    description: How many former generations are kept to roll back to. V(-1) keeps all, V(0) none, so that there is no
      way back. Only with O(activate=true).
    type: int
    default: 2
  strategy:
    description:
      - V(auto) exchanges the whole folder, and falls back by itself where the file system does not allow it.
      - V(renames) does it by two renames under a journal, V(packages) package by package under a journal.
    type: str
    choices: [auto, renames, packages]
    default: auto
  validate:
    description:
      - With V(errors) an archive is refused, and nothing is switched, where vcfanno would stop at one of its annotation
        tables or files, or annotate nothing or something else than the table says; see M(ousamg.anno.data_validate). A
        dry run tells what C(sources.json) of the archive tells, the run looks into the files as well. Suspicious names
        are in RV(notes).
      - With V(off) nothing of this is looked at.
    type: str
    choices: [errors, "off"]
    default: errors
  progress:
    description: A file on the target that is kept up to date with how far the work has come. The action plugin of this
      module names one and shows what it says; there is no need to set it.
    type: path
attributes:
  check_mode:
    description: A dry run checks everything and predicts what the run then does. It writes nothing.
    support: full
  diff_mode:
    description: Shows the versions of the packages, and the text of C(sources.json) and C(vcfanno_config.toml).
    support: full
  idempotent:
    description: A second run changes nothing.
    support: full
author:
  - OUS AMG (@ousamg)
"""

EXAMPLES = r"""
- name: Unpack new ClinVar and HGMD data
  ousamg.anno.data_unpack:
    src: /srv/anno/archive/data/clinvar_20240107-hgmd_2023.4.tar
    data: /srv/anno/anno-staging/data
"""

RETURN = r"""
packages:
  description: What changes, package by package.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The package, or its folder where the archive does not tell which package it is.
      type: str
    destination:
      description: Its folder below the data folder; null where a rollback does not say it.
      type: str
    before:
      description: The version that was there, null for a new package.
      type: str
    after:
      description: The version that is there now, null for one that is gone.
      type: str
  sample:
    - name: clinvar
      destination: variantDBs/clinvar
      before: "20230504"
      after: "20231105"
generation:
  description: The live generation's id; with O(activate=false) that of the one made ready. Null in a dry run that
    would make one.
  returned: success
  type: str
  sample: 20261124T031500123Z-5891b5b5
previous:
  description: The generation that was live before this run, null where nothing was switched.
  returned: success
  type: str
planned:
  description: Whether there is something to do, or was. The same in a dry run and in the run.
  returned: success
  type: bool
reasons:
  description: Why, one line each.
  returned: success
  type: list
  elements: str
files:
  description: Regular files in the packages that are unpacked.
  returned: success
  type: int
bytes:
  description: Their content, in bytes.
  returned: success
  type: int
strategy:
  description: How it was switched. V(exchange) is atomic; with V(renames) the folder is missing for an instant; with
    V(packages) one package after the other is replaced. Null where nothing was switched, and in a dry run unless it
    is known before (it was asked for, the folder is a mount point, an earlier run has found out).
  returned: success
  type: str
caveat:
  description: What could not be promised by the switch and why, as a sentence, which is a warning, too. Null for
    V(exchange). In a dry run what can be told without writing.
  returned: success
  type: str
  sample: "data/ was absent for an instant (between two renames): this file system cannot exchange two folders in one
    step (renameat2 says EINVAL)."
moved:
  description: The former folders of packages that the archive brings to another place. They go with the switch, and
    come back with a rollback, where the receipt or the annotation files in C(sources.json) tell whose they are.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The package.
      type: str
    folder:
      description: Its former folder below the data folder.
      type: str
    destination:
      description: Its new one.
      type: str
    obstacle:
      description: Why the former one is kept, as a clause, which is in RV(notes) too. Null where it goes.
      type: str
unowned:
  description: What belongs to no package, by paths below the data folder, sorted, at most 50. A folder is named once.
    All of it is kept as it is. A package owns what lies below its folder, which the receipt, the annotation files in
    C(sources.json) or a C(DATA_READY) tell.
  returned: success
  type: list
  elements: str
  sample: [".tmp", "unpack.log", "variantDBs/old"]
unowned_count:
  description: How many there are.
  returned: success
  type: int
unready:
  description: Folders of packages without a C(DATA_READY), which were perhaps never completed. They are kept as is.
  returned: success
  type: list
  elements: str
notes:
  description: The same in sentences, and what is suspicious in the archive's annotation tables; none where there is
    nothing of the kind. C(deploy.yml) shows them with the plan.
  returned: success
  type: list
  elements: str
reused:
  description: Whether an earlier run had the next generation ready already.
  returned: success
  type: bool
removed:
  description: The former generations that were removed, because more were kept than O(keep_generations).
  returned: success
  type: list
  elements: str
left:
  description: Folders in the state folder that are to be removed and could not be removed whole, because something in
    them is another user's. They only take room; the next run tries again.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import data_unpack, trash, unpack_plan
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import ownership


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "src": {"type": "path", "required": True},
            "data": {"type": "path", "required": True},
            "sha256": {"type": "str"},
            "packages": {"type": "list", "elements": "str"},
            "datasets": {"type": "list", "elements": "path", "default": []},
            "mode": {"type": "str", "default": "0774"},
            "owner": {"type": "str"},
            "group": {"type": "str"},
            "activate": {"type": "bool", "default": True},
            "keep_generations": {"type": "int", "default": 2},
            "progress": {"type": "path"},
            "validate": {"type": "str", "choices": ["errors", "off"], "default": "errors"},
            "strategy": {"type": "str", "choices": list(unpack_plan.STRATEGIES), "default": unpack_plan.AUTO},
        },
        supports_check_mode=True,
    )
    given = module.params
    outcome = None
    try:
        request = unpack_plan.Request(
            src=given["src"],
            data=given["data"],
            ownership=ownership(given["mode"], given["owner"], given["group"]),
            sha256=given["sha256"],
            packages=tuple(given["packages"]) if given["packages"] is not None else None,
            datasets=tuple(given["datasets"]),
            activate=given["activate"],
            keep_generations=None if given["keep_generations"] < 0 else given["keep_generations"],
            strategy=given["strategy"],
            validate=given["validate"] == "errors",
            progress=given["progress"],
        )
        if module.check_mode:
            situation, plan = data_unpack.check(request)
        else:
            situation, plan, outcome = data_unpack.apply(request)
        result = data_unpack.result(request, situation, plan, outcome)
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    if outcome is not None and outcome.caveat:
        module.warn(outcome.caveat)
    if outcome is not None and result["left"]:
        module.warn(trash.warning(result["left"]))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
