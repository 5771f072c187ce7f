#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: data_archive
short_description: Pack packages of a data folder into a data archive
version_added: 0.1.0
description:
  - Packs as C(make tar-data) of ella-anno does. The archive is a plain tar of C(sources.json), one folder per package
    and C(PACKAGES), which ella-anno's own script and M(ousamg.anno.data_unpack) unpack.
  - Each file is compared with its package's C(MD5SUM) in the same pass that packs it. A package that is not whole, or
    that M(ousamg.anno.data_unpack) would refuse, is refused, and what was there stays as it was.
  - The archive is written beside its place, synced, read back and renamed.
  - The same packages and the same C(sources.json) give the same bytes. Entries are sorted, belong to user and group 0
    without a name, and have the modes 0774 (files) and 0775 (folders) that the sites ask for. Files keep their time in
    whole seconds; folders and links have that of their package's C(DATA_READY), which is not lost when they are copied.
    A hard link is packed as a file.
options:
  data:
    description: The data folder. Hidden folders at its top are passed over.
    type: path
    required: true
  dest:
    description:
      - The archive, or an existing folder, in which it is named C(source1_version-source2_version.tar).
      - A file that is there is replaced if it is a data archive, and the module fails if it is anything else.
    type: path
    required: true
  packages:
    description: The packages to pack. By default all that are complete, which means that they have a C(DATA_READY).
    type: list
    elements: str
  datasets:
    description: Paths of C(datasets.json) files on the target. They tell which folder belongs to which package.
    type: list
    elements: path
    default: []
  update:
    description:
      - Whether the other packages of an archive that is there stay in it. Their contents are verified while they are
        copied, and they keep their entries in C(sources.json).
      - With V(false) the archive holds what O(packages) says and nothing else.
    type: bool
    default: false
  mode:
    description:
      - Permission bits that the archive must have at least; missing ones are added.
      - Four octal digits in quotes.
    type: str
    default: "0774"
  progress:
    description: A file on the target that is kept up to date with how far the work has come. The action plugin of this
      module names one and shows what it says; there is no need to set it.
    type: path
attributes:
  check_mode:
    description: A dry run checks everything but the contents of data files and predicts what the run then does. It
      writes nothing.
    support: full
  diff_mode:
    description: Shows the packages of the archive with their versions, files and bytes, before and after.
    support: full
  idempotent:
    description: An archive is left as it is where the names, sizes, times, link targets and places of its entries are
      those that they would get, and C(sources.json), C(PACKAGES) and each C(MD5SUM) and C(DATA_READY) are the same
      byte for byte. Data files are not read for this.
    support: full
author:
  - OUS AMG (@ousamg)
"""

EXAMPLES = r"""
- name: Pack new ClinVar and HGMD data
  ousamg.anno.data_archive:
    data: /srv/anno/data
    dest: /srv/anno/archive/data
    packages: [clinvar, hgmd]

- name: Add VEP to an archive, or replace it there
  ousamg.anno.data_archive:
    data: /srv/anno/data
    dest: /srv/anno/archive/data/clinvar_20240107-hgmd_2023.4.tar
    packages: [vep]
    update: true
"""

RETURN = r"""
archive:
  description: The archive's path.
  returned: success
  type: str
  sample: /srv/anno/archive/data/clinvar_20240107-hgmd_2023.4.tar
size:
  description: Its size in bytes; a dry run predicts it exactly.
  returned: success
  type: int
sha256:
  description: Its SHA-256 as hexadecimal digits. Null where nothing was written; M(ousamg.anno.data_archive_info) tells
    that of an archive which is there.
  returned: success
  type: str
packages:
  description: The packages of the archive, and those that it had before.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The package.
      type: str
    destination:
      description: Its folder below the data folder.
      type: str
    before:
      description: The version that was in the archive, null where none was.
      type: str
    after:
      description: The version that is in it now, null where none is.
      type: str
  sample:
    - name: clinvar
      destination: variantDBs/clinvar
      before: null
      after: "20231105"
files:
  description: Regular files of all packages in the archive.
  returned: success
  type: int
bytes:
  description: Their content, in bytes.
  returned: success
  type: int
left_out:
  description: Packages of C(sources.json) that have no complete folder and are left out. Always empty with O(packages).
  returned: success
  type: list
  elements: str
reasons:
  description: Why something is to be done, or was, one line each.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import data_pack
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import parse_mode


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "required": True},
            "dest": {"type": "path", "required": True},
            "packages": {"type": "list", "elements": "str"},
            "datasets": {"type": "list", "elements": "path", "default": []},
            "update": {"type": "bool", "default": False},
            "mode": {"type": "str", "default": "0774"},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given = module.params
    sha256 = None
    try:
        request = data_pack.Request(
            data=given["data"],
            dest=given["dest"],
            packages=tuple(given["packages"]) if given["packages"] is not None else None,
            datasets=tuple(given["datasets"]),
            update=given["update"],
            mode=parse_mode(given["mode"]),
            progress=given["progress"],
        )
        if module.check_mode:
            situation, plan = data_pack.check(request)
        else:
            situation, plan, sha256 = data_pack.apply(request)
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    module.exit_json(**data_pack.result(situation, plan, sha256))


if __name__ == "__main__":
    main()
