#!/usr/bin/python
# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: annotation_test
short_description: Annotate variants that a release must know, and look at the result
version_added: 0.1.0
description:
  - Takes variants from the annotation files of the release's packages in the live data, has them annotated, and fails
    where a name does not come from the package's file or has no value.
  - It is done by a task of the anno service (O(api)), by a reanalysis in ELLA (O(ella)), or by both where both are
    given. Without either vcfanno itself annotates them with the live data, on the target.
  - Refuses to test what is not live by the ledger, by C(sources.json) or by the image link.
  - A package without vcfanno tables, or without plain variants in them, is told in RV(untestable). Where no package of
    the release can be tested, as in a release of code alone, all live ones that can are.
options:
  data:
    description: The live data folder.
    type: path
    required: true
  packages:
    description: The updated packages, of which each has to be live in its version.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name in C(sources.json).
        type: str
        required: true
      version:
        description: Its version.
        type: str
        required: true
  ledger:
    description: The ledger of the instance.
    type: path
    required: true
  manifest:
    description: Digest of the release manifest, which the ledger must have as live.
    type: str
    required: true
  image:
    description: Name of the file that O(image_link) has to lead to. Left out where the release has no image.
    type: str
  image_link:
    description: The link to the live image.
    type: path
    required: true
  api:
    description: Base URL of the anno service's HTTP API, such as V(http://p22-anno-01:6000).
    type: str
  ella:
    description: The ELLA to create a reanalysis in. O(work) is needed too.
    type: dict
    suboptions:
      url:
        description: Its base URL. One that holds credentials is refused.
        type: str
        required: true
      username:
        description: The user to log in as.
        type: str
        required: true
      password:
        description: The password.
        type: str
        required: true
      user_id:
        description: The number that this user has in ELLA.
        type: int
        required: true
      sample_id:
        description: A sample that ELLA's anno service has, with variants of the packages, not annotated by vcfanno yet.
        type: str
        required: true
      genepanel_name:
        description: The gene panel.
        type: str
        required: true
      genepanel_version:
        description: Its version.
        type: str
        required: true
  name:
    description: What the analysis is called in ELLA. Every run needs another name.
    type: str
    default: minimal-test
  work:
    description: The work folder of the anno service. With it a failure shows the end of the failing step's log.
    type: path
  vcf:
    description:
      - A plain VCF of one's own, with variants of every package, in place of the one that is made.
      - Values that it has of tested names are left out.
    type: path
  base_path:
    description:
      - The C(-base-path) that the service runs vcfanno with. It may be a path in a container.
      - Left out, it is taken from the header of the annotated VCF.
    type: str
  vcfanno:
    description: The executable of vcfanno, where neither O(api) nor O(ella) is given.
    type: str
    default: vcfanno
  singularity:
    description: The executable of Singularity or Apptainer. With it, it is the vcfanno in the live image that runs.
    type: str
  timeout:
    description: Seconds for the whole test.
    type: int
    default: 3600
  progress:
    description: A file on the target that is kept up to date with what is waited for. The action plugin of this module
      names one and shows what it says; there is no need to set it.
    type: path
attributes:
  check_mode:
    description: Tells what would be tested and how. Submits and writes nothing.
    support: full
  diff_mode:
    description: Nothing that is deployed changes, so there is no difference to show.
    support: full
  idempotent:
    description: Every run annotates anew, as a test has to. Nothing that is deployed changes.
    support: full
author:
  - OUS AMG (@ousamg)
"""

EXAMPLES = r"""
- name: Find the release
  ousamg.anno.release_manifest:
    search:
      - /srv/anno/incoming
  register: release

- name: Test that the new ClinVar is annotated with, through the anno service
  ousamg.anno.annotation_test:
    data: /srv/anno/anno-staging/data
    packages:
      - name: clinvar
        version: "20240107"
    ledger: /srv/anno/anno-staging/deployments.jsonl
    manifest: "{{ release.digest }}"
    image: anno-v3.2.0.sif
    image_link: /srv/anno/anno-staging/anno.sif
    api: http://p22-anno-01:6000
    work: /srv/anno/anno-staging/work
"""

RETURN = r"""
methods:
  description: How it was tested, V(api), V(ella) or V(direct).
  returned: success, and where the annotation failed
  type: list
  elements: str
  sample: [api]
tested:
  description: The annotation tables that were tested.
  returned: success, and where the annotation failed
  type: list
  elements: dict
  contains:
    package:
      description: The package.
      type: str
    version:
      description: Its live version.
      type: str
    file:
      description: The annotation file, below the data folder.
      type: str
untestable:
  description: What this test tells nothing of, a package or one file of it, and why.
  returned: success, and where the annotation failed
  type: list
  elements: dict
  sample:
    - package: vep
      file: null
      what: vep
      why: "not testable this way: it has no vcfanno tables"
reasons:
  description: What is tested with which variants, what cannot be, and how, in sentences.
  returned: success, and where the annotation failed
  type: list
  elements: str
tasks:
  description: The tasks of anno, by method.
  returned: success
  type: dict
  sample: {api: '1207'}
missing:
  description: What was not annotated as it should be.
  returned: where something is missing
  type: list
  elements: dict
  contains:
    package:
      description: The package.
      type: str
    version:
      description: Its live version.
      type: str
    file:
      description: The file that the names should come from.
      type: str
    names:
      description: The INFO names.
      type: list
      elements: str
    reason:
      description: What is wrong with them.
      type: str
task:
  description: The task of anno that failed, or whose result is wrong.
  returned: where there is one
  type: str
step:
  description: The step of the task that failed, or that it is in. The end of its log is in the message.
  returned: where the work folder tells
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.ousamg.anno.plugins.module_utils import annotation_test
from ansible_collections.ousamg.anno.plugins.module_utils.ella_api import Login, Sample
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError, failure
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_run import Program

_PACKAGE = {"name": {"type": "str", "required": True}, "version": {"type": "str", "required": True}}
_ELLA = {
    "url": {"type": "str", "required": True},
    "username": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "user_id": {"type": "int", "required": True},
    "sample_id": {"type": "str", "required": True},
    "genepanel_name": {"type": "str", "required": True},
    "genepanel_version": {"type": "str", "required": True},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "data": {"type": "path", "required": True},
            "packages": {"type": "list", "elements": "dict", "default": [], "options": _PACKAGE},
            "ledger": {"type": "path", "required": True},
            "manifest": {"type": "str", "required": True},
            "image": {"type": "str"},
            "image_link": {"type": "path", "required": True},
            "api": {"type": "str"},
            "ella": {"type": "dict", "options": _ELLA},
            "name": {"type": "str", "default": "minimal-test"},
            "work": {"type": "path"},
            "vcf": {"type": "path"},
            "base_path": {"type": "str"},
            "vcfanno": {"type": "str", "default": "vcfanno"},
            "singularity": {"type": "str"},
            "timeout": {"type": "int", "default": 3600},
            "progress": {"type": "path"},
        },
        supports_check_mode=True,
    )
    p = dict(module.params)
    p["program"] = Program(p.pop("vcfanno"), p.pop("singularity"), p["image_link"])
    p["packages"] = [(package["name"], package["version"]) for package in p["packages"]]
    ella = p.pop("ella")
    if ella:
        login = Login(ella.pop("username"), ella.pop("password"))
        p["ella"] = annotation_test.Ella(ella.pop("url"), login, Sample(**ella))
    request = annotation_test.Request(**p)
    known = {}
    try:
        planned = annotation_test.plan(request)
        known = planned.result()
        tasks = {} if module.check_mode else annotation_test.apply(request, planned)
    except (AnnoError, OSError) as error:
        module.fail_json(**known, **failure(error))
    module.exit_json(changed=False, tasks=tasks, **known)


if __name__ == "__main__":
    main()
