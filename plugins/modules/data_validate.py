#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: data_validate
short_description: Check that a data folder would annotate what it says
version_added: 0.1.0
description:
  - Looks at C(sources.json), C(vcfanno_config.toml) and the files on disk as one whole, and tells everything that is
    wrong at once. What vcfanno 0.3.5 refuses is an error here, and so is what it passes over without a word and what
    then is missing from, or wrong in, the annotation.
  - Reads only. Of a data file it reads the beginning, the end and the index, whatever its size, unless O(checksums) is
    set.
  - Warnings are shown as warnings of Ansible, unless O(fail=false). What each code means is told with
    RV(problems[].code).
options:
  data:
    description: The data folder.
    type: path
    required: true
  strict:
    description: Whether warnings make it fail as well.
    type: bool
    default: false
  fail:
    description: Whether the module fails where something is wrong. With V(false) it only tells.
    type: bool
    default: true
  lua:
    description: Whether anno runs vcfanno with a file of Lua functions (C(-lua)).
    type: bool
    default: false
  checksums:
    description: Whether to read all files of all packages and compare them with their C(MD5SUM). Takes as long as
      reading all data does.
    type: bool
    default: false
  progress:
    description: A file on the target that is kept up to date with how far the work has come. The action plugin of this
      module names one and shows what it says; there is no need to set it.
    type: path
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
- name: Refuse data that would annotate wrongly
  ousamg.anno.data_validate:
    data: /srv/anno/anno-staging/data

- name: Look for suspicious mappings
  ousamg.anno.data_validate:
    data: /srv/anno/anno-staging/data
    fail: false
  register: validated

- name: Show them
  ansible.builtin.debug:
    msg: "{{ validated.problems | selectattr('code', 'equalto', 'mapping-odd') | map(attribute='message') }}"
"""

RETURN = r"""
problems:
  description: All that is wrong, errors first, then by path. The same folder gives the same list. Also returned with a
    failure.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description:
        - What kind of problem it is, one of these.
        - "V(checksum-mismatch) (error): a file is not the one of its C(MD5SUM) (with O(checksums))."
        - "V(column-missing) (error): a table uses a column that its file has not, or a VCF has fewer than 8."
        - "V(config-empty) (error): C(vcfanno_config.toml) has no C([[annotation]])."
        - "V(config-missing) (error): there is no C(vcfanno_config.toml)."
        - "V(config-syntax) (error): C(vcfanno_config.toml) is not TOML (with line and column), not UTF-8 or no file."
        - "V(field-missing) (error): a field is not in the INFO of the VCF header; vcfanno says nothing."
        - "V(file-damaged) (error): a block of an annotation file cannot be decompressed."
        - "V(file-empty) (error): an annotation file has 0 bytes, or no records."
        - "V(file-kind) (error): an annotation file is a folder, a FIFO or the like."
        - "V(file-missing) (error): an annotation file is not there."
        - "V(file-name) (error): a VCF has a name by which vcfanno takes it for another table and annotates nothing."
        - "V(file-not-bgzip) (error): an annotation file is not compressed with bgzip."
        - "V(file-truncated) (error): the end of an annotation file is missing."
        - "V(file-unreadable) (error): a file or folder cannot be read by this user, or not at all."
        - "V(file-version) (error): a file's name has another version than C(sources.json)."
        - "V(header-endless) (error): the header of an annotation file does not end within 16 MB or 200,000 lines."
        - "V(header-line) (error): a header line of a VCF is not written in the way that vcfanno reads."
        - "V(header-missing) (error): a file is no VCF or BAM, and its name says so."
        - "V(index-damaged) (error): an index cannot be read."
        - "V(index-missing) (error): there is no index (C(.tbi) or C(.csi), for a BAM C(.bai))."
        - "V(index-old) (error): an index is older than its file; vcfanno takes a C(.csi) before a C(.tbi)."
        - "V(index-other) (error): an index has other contigs than its file, or does not lead to the file's records."
        - "V(key-unknown) (error): vcfanno does not know a key and passes over it."
        - "V(lengths-differ) (error): C(fields), C(columns), C(names) and C(ops) of a table are not equally many."
        - "V(lua-missing) (error): a C(lua:) op, and anno runs vcfanno without a Lua file (see O(lua))."
        - "V(md5sum-damaged) (error): an C(MD5SUM) cannot be read."
        - "V(md5sum-file-missing) (error): an C(MD5SUM) lists files that are not there."
        - "V(name-invalid) (error): a name cannot be that of an INFO field."
        - "V(name-twice) (error): a name is given twice, and the last one wins."
        - "V(op-unfit) (error): an op does not go with its field; C(max), C(mean), C(min), C(sum) need numbers."
        - "V(op-unknown) (error): vcfanno does not know an op; C(delete), C(setid) are for C([[postannotation]]) only."
        - "V(package-missing) (error): C(sources.json) names a package that has no folder."
        - "V(package-version) (error): C(sources.json) has another version than the package's C(DATA_READY)."
        - "V(path-outside) (error): an annotation file lies outside of the data folder, by its path or by a link."
        - "V(sources-missing) (error): there is no C(sources.json)."
        - "V(sources-syntax) (error): C(sources.json) is not JSON (with line and column) or not as it should be."
        - "V(sources-twice) (error): C(sources.json) has a key twice."
        - "V(table-differs) (error): a table is not the one of its package's C(vcfanno) list in C(sources.json)."
        - "V(table-incomplete) (error): a table lacks a key that it needs."
        - "V(table-missing) (error): a table of a package's C(vcfanno) list is not in C(vcfanno_config.toml)."
        - "V(table-unlisted) (error): a table of a package is not in its C(vcfanno) list; an update removes it."
        - "V(value-type) (error): a value is not of the type that vcfanno needs."
        - "V(field-twice) (warning): a table makes two names from the same field in the same way."
        - "V(file-unknown) (warning): files of no package and no table."
        - "V(file-unlisted) (warning): files of a package that its C(MD5SUM) does not list."
        - "V(link-dangling) (warning): a link leads nowhere."
        - "V(link-outside) (warning): a link leads out of the data folder."
        - "V(mapping-odd) (warning): a name says something else than its field, going by the other names of the table."
        - "V(md5sum-missing) (warning): a package has no C(MD5SUM)."
        - "V(package-unclear) (warning): which folder is that of a package cannot be told."
        - "V(package-unlisted) (warning): a complete package that C(sources.json) does not name."
        - "V(package-unready) (warning): a package has no C(DATA_READY), or one that cannot be read."
        - "V(permissions) (warning): files or folders have fewer permissions than 0774; how many, and the first ones."
        - "V(table-surplus) (warning): a table uses a file of a package that does not ask for any."
      type: str
    severity:
      description: V(error) or V(warning).
      type: str
    path:
      description: What it is about, below the data folder; V(.) is the folder itself.
      type: str
    message:
      description: What was found, what was expected, and what to do.
      type: str
  sample:
    - code: index-missing
      severity: error
      path: variantDBs/clinvar/clinvar_20240107.vcf.gz.tbi
      message: >-
        there is no such file. Expected: the index of the file. What to do: Make the index anew with tabix, after the
        file.
sources:
  description: The packages of C(sources.json), by name. Empty where it cannot be read.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The package.
      type: str
    version:
      description: Its version, null where it has none.
      type: str
    timestamp:
      description: When it was made, null where it is not said.
      type: str
    destination:
      description: Its folder below the data folder, null where that cannot be told.
      type: str
    tables:
      description: How many annotation tables it has.
      type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import data_validate
from ansible_collections.ousamg.anno.plugins.module_utils.errors import failure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "required": True},
            "strict": {"type": "bool", "default": False},
            "fail": {"type": "bool", "default": True},
            "lua": {"type": "bool", "default": False},
            "checksums": {"type": "bool", "default": False},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        result = data_validate.validate(given["data"], given["lua"], given["checksums"], given["progress"])
    except OSError as error:
        module.fail_json(**failure(error))
    failed, message = data_validate.verdict(result["problems"], given["data"], given["strict"])
    if failed and given["fail"]:
        module.fail_json(msg=message, **result)
    if given["fail"]:
        for problem in result["problems"]:
            module.warn(f"{problem['path']}: {problem['message']}")
    module.exit_json(changed=False, msg=message, **result)


if __name__ == "__main__":
    main()
