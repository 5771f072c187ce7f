"""module_utils/members.py: the members that count, by name and in the order of the file."""

from __future__ import annotations

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils.members import MemberTable, Selection
from ansible_collections.ousamg.anno.plugins.module_utils.tar_reader import FILE, FOLDER, HARDLINK, SYMLINK, Member

MEMBERS = [
    Member("p", FOLDER, 0, 1, 512, ""),
    Member("p/a", FILE, 1 << 40, 2, 1024, ""),
    Member("p/b", SYMLINK, 0, (1 << 63) - 1, 1 << 41, "a"),
    Member("p/c", HARDLINK, 0, 4, (1 << 41) + 512, "p/a"),
    Member("pq", FILE, 0, 0, (1 << 41) + 1024, ""),
]


@pytest.fixture
def table() -> MemberTable:
    made = MemberTable()
    for member in MEMBERS:
        made.add(member)
    return made


def test_what_goes_in_comes_out(table: MemberTable) -> None:
    assert list(table) == MEMBERS
    assert len(table) == 5
    assert [table[member.name] for member in MEMBERS] == MEMBERS
    assert "p/a" in table and "p/d" not in table and table.get("p/d") is None
    assert list(table.shapes()) == [(member.name, member.kind, member.size) for member in MEMBERS]
    assert table.links() == MEMBERS[2:4]


def test_the_last_one_of_a_name_counts_and_stands_last(table: MemberTable) -> None:
    later = [Member("p/b", FILE, 3, 0, 1 << 42, ""), Member("p/a", FOLDER, 0, 0, 1 << 43, "")]
    for member in later:
        table.add(member)
    assert list(table) == [MEMBERS[0], MEMBERS[3], MEMBERS[4], *later]
    assert table.links() == [MEMBERS[3]]


def test_each_file_has_one_md5(table: MemberTable) -> None:
    zeros, ones = bytes(16), b"\1" * 16
    assert list(table.unchecked()) == ["p/a", "p/c", "pq"]
    assert table.expect("p/a", zeros) and table.expect("p/a", zeros) and table.expect("p/c", ones)
    assert not table.expect("p/a", ones), "another one"
    assert not any(table.expect(name, ones) for name in ("p", "p/b", "gone"))
    assert table["p/a"].md5 == zeros and table["p/c"].md5 == ones and table["pq"].md5 == b""
    assert list(table.unchecked()) == ["pq"]


def test_a_selection_is_a_folder_with_all_in_it_as_often_as_asked(table: MemberTable) -> None:
    chosen = Selection(table, ["p"])
    assert list(chosen) == list(chosen) == MEMBERS[:4]
    assert not list(Selection(table, []))
