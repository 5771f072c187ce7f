"""The filters anno_version and archive_name, as templates use them."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.ousamg.anno.plugins.filter.anno_version import FilterModule as VersionFilters
from ansible_collections.ousamg.anno.plugins.filter.archive_name import FilterModule as NameFilters
from jinja2 import Environment


@pytest.fixture
def environment() -> Environment:
    environment = Environment(autoescape=False)  # noqa: S701
    for module in (VersionFilters(), NameFilters()):
        environment.filters.update(module.filters())
    return environment


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ 'v2.7.1' | anno_version(bump='data') }}", "v2.7.1a"),
        ("{{ 'v2.7.1a' | anno_version('minor') }}", "v2.8.0"),
        ("{{ ('v2.7.1a' | anno_version).kind }}", "data"),
        ("{{ ('v2.7.1-rc2' | anno_version).candidate }}", "2"),
        ("{{ ('v2.7.1' | anno_version).candidate is none }}", "True"),
        (
            "{{ ['v2.7.1a', 'v2.10.0', 'v2.7.1', 'v2.10.0-rc'] | map('anno_version') | sort(attribute='sort_key') "
            "| map(attribute='version') | join(' ') }}",
            "v2.7.1 v2.7.1a v2.10.0-rc v2.10.0",
        ),
        (
            "{{ [{'name': 'hgmd', 'version': '2023.4'}, {'name': 'clinvar', 'version': 20240107}] | archive_name }}",
            "clinvar_20240107-hgmd_2023.4.tar",
        ),
    ],
)
def test_templates(environment: Environment, template: str, text: str) -> None:
    assert environment.from_string(template).render() == text


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 'v2.7' | anno_version }}", "'v2.7': is no version tag"),
        ("{{ 'v2.7.1z' | anno_version(bump='data') }}", "no letter comes after z"),
        ("{{ 'v2.7.1' | anno_version(bump='all') }}", "'all'"),
        ("{{ [] | archive_name }}", "are empty"),
        ("{{ 'clinvar' | archive_name }}", "needs a list of packages"),
        ("{{ [{'name': 'a', 'version': '1/2'}] | archive_name }}", "version of the package 'a': is '1/2'"),
    ],
)
def test_errors(environment: Environment, template: str, expected: str) -> None:
    with pytest.raises(AnsibleFilterError) as error:
        environment.from_string(template).render()
    assert expected in str(error.value)
