#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: annotated_vcf_info
short_description: Tell which files a VCF was annotated from
version_added: 0.1.0
description:
  - Reads the header of a VCF that vcfanno has annotated, whatever the size of the file. The header may have 64 MiB.
  - For each INFO name it tells the file that its values come from, and whether vcfanno has not found the field in that
    file, which it otherwise only warns of.
options:
  path:
    description: The annotated VCF on the target, plain or compressed with gzip or bgzip, whatever it is called.
    type: path
    required: true
  base_path:
    description:
      - The C(-base-path) that vcfanno ran with, as it was written there. It may be a path in a container.
      - Files below it are told relative to it, as C(vcfanno_config.toml) and C(sources.json) name them.
    type: str
  expect:
    description:
      - What must have been annotated. The module fails where a name is not in the header, comes from another file, or
        has no values because the file has no such field.
      - Tables as in the C(vcfanno) list of a package in C(sources.json), with C(file) and C(names), or C(fields) where
        there are no names. Other keys do not count. C(file) is compared with what RV(sources) says.
    type: list
    elements: dict
    default: []
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
- name: Tell what a sample was annotated from
  ousamg.anno.annotated_vcf_info:
    path: /srv/anno/anno-staging/work/1/VCFANNO/output.vcf
  register: annotated

- name: Show the files
  ansible.builtin.debug:
    msg: "{{ annotated.sources.keys() | list }}"

- name: Make sure that the new ClinVar was used
  ousamg.anno.annotated_vcf_info:
    path: /srv/anno/anno-staging/work/1/VCFANNO/output.vcf
    base_path: /srv/anno/anno-staging/data
    expect:
      - file: variantDBs/clinvar/clinvar_20230504.vcf.gz
        names: [CLINVARJSON]
"""

RETURN = r"""
vcfanno:
  description: The version of vcfanno that annotated it last, null where none did.
  returned: success
  type: str
  sample: 0.3.5
sources:
  description: The INFO names by the file that they were annotated from.
  returned: success
  type: dict
  sample:
    variantDBs/clinvar/clinvar_20240107.vcf.gz: [CLINVARJSON]
infos:
  description: All INFO names in the order of the header.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The INFO name.
      type: str
    number:
      description: How many values it has, as V(1), V(A) or V(.).
      type: str
    type:
      description: The type of its values, as V(String).
      type: str
    source:
      description: The file that it was annotated from. Null for the input's own and for those calculated from others.
      type: str
    empty:
      description: Whether that file has no such field, so that no record has a value. Seen for the ops C(self) and
        C(first) only.
      type: bool
  sample:
    - name: CLINVARJSON
      number: "1"
      type: String
      source: variantDBs/clinvar/clinvar_20240107.vcf.gz
      empty: false
missing:
  description: What of O(expect) is not there.
  returned: success, and where something is missing
  type: list
  elements: dict
  contains:
    file:
      description: The file that it is expected from.
      type: str
    name:
      description: The INFO name.
      type: str
    source:
      description: The file that it does come from, or null.
      type: str
    reason:
      description: What is wrong with it.
      type: str
samples:
  description: How many samples it has. Their names are left out.
  returned: success
  type: int
contigs:
  description: How many contigs its header lists.
  returned: success
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import annotated_vcf
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "base_path": {"type": "str"},
            "expect": {"type": "list", "elements": "dict", "default": []},
        },
        supports_check_mode=True,
    )
    path = module.params["path"]
    try:
        header = annotated_vcf.inspect(path, module.params["base_path"])
        absent = annotated_vcf.missing(header, module.params["expect"])
    except (AnnoError, OSError) as error:
        module.fail_json(**failure(error))
    missing = [item._asdict() for item in absent]
    if absent:
        module.fail_json(missing=missing, **failure(annotated_vcf.as_error(path, absent)))
    module.exit_json(
        changed=False,
        vcfanno=header.vcfanno,
        sources=header.sources,
        infos=[info._asdict() for info in header.infos],
        missing=missing,
        samples=header.samples,
        contigs=header.contigs,
    )


if __name__ == "__main__":
    main()
