#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: data_archive_info
short_description: Tell what is in a data archive
version_added: 0.1.0
description:
  - Reads the table of contents of a data archive and refuses one that is not whole. The data themselves are read only
    for O(sha256), and where they are compressed.
options:
  path:
    description:
      - The data archive on the target, plain or compressed with gzip or zstd. Its content tells, not its name.
      - A compressed one is decompressed from beginning to end. For zstd the target needs Python 3.14 or one of the
        packages C(backports.zstd) and C(zstandard).
    type: path
    required: true
  datasets:
    description: Paths of C(datasets.json) files on the target. They tell which folder belongs to which package.
    type: list
    elements: path
    default: []
  sha256:
    description: Whether to compute the archive's SHA-256. Reads all of it.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Reads only, there is no difference to show.
    support: full
  idempotent:
    description: Reads only.
    support: full
author:
  - OUS AMG (@ousamg)
"""

EXAMPLES = r"""
- name: Look into a data archive
  ousamg.anno.data_archive_info:
    path: /srv/anno/archive/data/clinvar_20240107-hgmd_2023.4.tar
"""

RETURN = r"""
packages:
  description: The archive's packages, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The package, null where the archive does not tell whose folder it is.
      type: str
    version:
      description: Its version, from C(sources.json) or C(DATA_READY).
      type: str
    timestamp:
      description: When its data were made.
      type: str
    files:
      description: Its regular files.
      type: int
    bytes:
      description: Their content, in bytes.
      type: int
    destination:
      description: Its folder below the data folder.
      type: str
  sample:
    - name: clinvar
      version: "20231105"
      timestamp: "2023-11-06 08:00:00"
      files: 4
      bytes: 52428800
      destination: variantDBs/clinvar
size:
  description: The archive file's size in bytes.
  returned: success
  type: int
sha256:
  description: The SHA-256 of the file as it lies there, as hexadecimal digits, null unless asked for.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils.data_archive import inspect_archive, summary
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.files import sha256_of


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "datasets": {"type": "list", "elements": "path", "default": []},
            "sha256": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        index = inspect_archive(path, module.params["datasets"])
        sha256 = sha256_of(path) if module.params["sha256"] else None
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    module.exit_json(changed=False, packages=summary(index), size=index.size, sha256=sha256)


if __name__ == "__main__":
    main()
