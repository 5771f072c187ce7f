"""Nothing is without its test: every module_util, module, plugin and role has the one that is named like it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests/unit"


def names(folder: str) -> list[str]:
    return sorted(path.stem for path in (ROOT / "plugins" / folder).glob("*.py"))


@pytest.mark.parametrize("name", names("module_utils"))
def test_a_module_util_has_its_unit_tests(name: str) -> None:
    assert (UNIT / f"module_utils/test_{name}.py").is_file()


@pytest.mark.parametrize("name", names("modules"))
def test_a_module_has_its_tests(name: str) -> None:
    # The two ledger modules are tested together: one writes what the other reads.
    known = {"ledger_entry": "ledger", "ledger_info": "ledger"}
    assert (UNIT / f"modules/test_{known.get(name, name)}.py").is_file()


@pytest.mark.parametrize("role", sorted(path.name for path in (ROOT / "roles").iterdir()))
def test_a_role_has_its_scenario_and_its_argument_specs(role: str) -> None:
    assert (ROOT / f"molecule/{role}/molecule.yml").is_file()
    assert list((ROOT / f"molecule/{role}/tests").glob("test_*.py"))
    specs = yaml.safe_load((ROOT / f"roles/{role}/meta/argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text())
    own = {name: option for name, option in specs["main"]["options"].items() if name.startswith(f"{role}_")}
    # What has a default is optional, and what has none is required.
    assert {name for name, option in own.items() if not option.get("required")} == set(defaults)
    stated = {name: option["default"] for name, option in own.items() if "default" in option}
    assert stated == {name: defaults[name] for name in stated}


@pytest.mark.parametrize("name", names("action"))
def test_an_action_plugin_has_its_module(name: str) -> None:
    assert name in names("modules")


def test_the_link_that_lets_a_clone_be_used_in_place() -> None:
    link = ROOT / "collections/ansible_collections/ousamg/anno"
    assert link.is_symlink()
    assert link.resolve() == ROOT
