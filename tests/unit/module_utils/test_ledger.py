"""module_utils/ledger.py on real files and with real processes."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ousamg.anno.plugins.module_utils import ledger
from ansible_collections.ousamg.anno.plugins.module_utils.ledger import Ledger, LedgerError, Plan, Request

DIGEST = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "deployments.jsonl")


def request(deployment: str, *entries: dict[str, Any], **words: Any) -> Request:
    shared: dict[str, Any] = {
        "site": "TSD", "env": "prod", "release": "v3.2.0a", "manifest": DIGEST, "by": "ola", "host": "control", "pid": 7
    }  # fmt: skip
    return Request(deployment, entries, **(shared | words))


def record(path: str, deployment: str, *entries: dict[str, Any], **words: Any) -> Plan:
    return ledger.append(path, request(deployment, *entries, **words))


def deploy(path: str, deployment: str, outcome: str = "ok", **words: Any) -> None:
    record(path, deployment, {"event": "start"}, **words)
    record(path, deployment, {"event": "end", "outcome": outcome}, **words)


def lines(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def locked(path: str) -> bool:
    return os.path.lexists(path + ".lock")


# Appending


def test_an_entry_is_one_line_with_every_word(path: str) -> None:
    words = {"what": "data", "before": {"clinvar": "1"}, "after": ["2"], "message": "bl\u00e5\nb\u00e6r"}
    record(path, "d1", {"event": "switch"} | words)
    text = Path(path).read_bytes()
    assert text.count(b"\n") == 1 and text.endswith(b"\n") and text.isascii()
    (line,) = lines(path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line.pop("as") == subprocess.check_output(["id", "-un"], text=True).strip()
    assert line == {
        "deployment": "d1", "event": "switch", "site": "TSD", "env": "prod", "release": "v3.2.0a",
        "manifest": DIGEST, "what": "data", "before": {"clinvar": "1"}, "after": ["2"], "outcome": None,
        "message": "bl\u00e5\nb\u00e6r", "by": "ola", "from": "control",
    }  # fmt: skip


def test_a_line_is_never_rewritten(path: str) -> None:
    before = b""
    for number in range(5):
        deploy(path, f"d{number}")
        now = Path(path).read_bytes()
        assert now.startswith(before) and len(now) > len(before)
        before = now


def test_several_entries_are_one_write(path: str) -> None:
    trace = Path(path).with_name("trace")
    code = (
        "import sys; from ansible_collections.ousamg.anno.plugins.module_utils import ledger; "
        "ledger.append(sys.argv[1], ledger.Request('d', [{'event': 'switch', 'what': w} for w in ('data', 'image')]))"
    )
    env = os.environ | {"PYTHONPATH": "collections"}
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code, path]
    if Path("/usr/bin/strace").exists():
        command = ["strace", "-f", "-o", str(trace), "-e", "trace=openat,write,fsync,flock", *command]
    subprocess.run(command, env=env, cwd=root, check=True)
    assert [line["what"] for line in lines(path)] == ["data", "image"]
    if trace.exists():
        calls = trace.read_text(encoding="utf-8")
        calls = calls[calls.index("deployments.jsonl") :]
        assert len(re.findall(r" write\(\d+, \"\{", calls)) == 1
        assert "fsync(" in calls and "LOCK_EX" in calls
        assert "O_APPEND" in calls


def test_the_ledger_is_for_the_group(path: str) -> None:
    umask = os.umask(0o077)
    try:
        record(path, "d1", {"event": "start"})
    finally:
        os.umask(umask)
    assert stat.S_IMODE(Path(path).stat().st_mode) == 0o664
    # Whoever may write to the folder may take over the lock: links have no modes.
    assert os.path.islink(path + ".lock")


def test_a_torn_line_is_closed_and_reported(path: str) -> None:
    deploy(path, "d1")
    with Path(path).open("ab") as stream:
        stream.write(b'{"time": "2026-03-02T09:1')
    before = Path(path).read_bytes()
    assert ledger.read(path).torn
    assert ledger.read(path).damaged == [3]

    record(path, "d2", {"event": "start"})
    assert Path(path).read_bytes().startswith(before + b"\n{")
    found = ledger.read(path)
    assert found.damaged == [3] and not found.torn
    assert [entry.deployment for entry in found.entries] == ["d1", "d1", "d2"]


@pytest.mark.parametrize(
    "line", [b"", b"nonsense", b"[]", b"{}", b'{"time": 1, "deployment": "d", "event": "start"}', b"\xff\xfe", b"\0"]
)
def test_damaged_lines_are_reported_and_left_out(path: str, line: bytes) -> None:
    deploy(path, "d1")
    Path(path).write_bytes(line + b"\n" + Path(path).read_bytes())
    found = ledger.read(path)
    assert found.damaged == [1]
    assert [entry.event for entry in found.entries] == ["start", "end"]


def test_a_full_disk_is_an_error_and_leaves_no_lock(path: str) -> None:
    code = (
        "import resource, signal, sys; from ansible_collections.ousamg.anno.plugins.module_utils import ledger\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))\n"
        "try: ledger.append(sys.argv[1], ledger.Request('d', [{'event': 'start', 'message': 'x' * 400}]))\n"
        "except OSError as error: print(error.strerror)"
    )
    root = Path(__file__).parents[3]
    env = os.environ | {"PYTHONPATH": "collections"}
    done = subprocess.run(
        [sys.executable, "-c", code, path], env=env, cwd=root, check=True, capture_output=True, text=True
    )
    assert "No space left" in done.stdout
    assert not locked(path)
    assert ledger.read(path).torn  # what was written is not taken back, the next line closes it
    record(path, "d2", {"event": "start"})
    assert [entry.deployment for entry in ledger.read(path).entries] == ["d2"]


def test_many_writers_lose_nothing(path: str) -> None:
    def write(number: int) -> None:
        for step in range(20):
            record(path, f"d{number}", {"event": "switch", "message": f"{step} " + "x" * 5000})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ledger.read(path)
    assert found.damaged == []
    assert len(found.entries) == 160


def test_the_same_call_again_appends_nothing(path: str) -> None:
    start, middle = {"event": "start"}, {"event": "switch", "what": "image", "before": ("a", 1), "after": {"b": None}}
    assert record(path, "d1", start).changes
    assert not record(path, "d1", start).changes
    assert record(path, "d1", middle).changes
    assert not record(path, "d1", middle).changes
    both = ({"event": "switch", "what": "service"}, {"event": "end", "outcome": "ok"})
    assert record(path, "d1", *both).changes
    assert not record(path, "d1", *both).changes
    assert [line["event"] for line in lines(path)] == ["start", "switch", "switch", "end"]


def test_what_happened_twice_is_recorded_twice(path: str) -> None:
    for outcome in ("failed", "ok", "failed"):
        record(path, "d1", {"event": "test", "outcome": outcome})
    assert [line["outcome"] for line in lines(path)] == ["failed", "ok", "failed"]


def test_check_writes_nothing_and_predicts(path: str) -> None:
    planned = ledger.append(path, request("d1", {"event": "start"}), check=True)
    assert not Path(path).exists() and not locked(path)
    done = record(path, "d1", {"event": "start"})
    assert planned.changes and done.changes
    assert [e._replace(time="") for e in planned.lines] == [e._replace(time="") for e in done.lines]
    assert planned[1:] == done[1:]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        record(str(tmp_path / "none" / "deployments.jsonl"), "d1", {"event": "start"})


# The lock


def test_a_deployment_holds_the_lock_from_start_to_end(path: str) -> None:
    record(path, "d1", {"event": "start"})
    lock = json.loads(os.readlink(path + ".lock"))
    assert lock.pop("since") >= lines(path)[0]["time"]
    assert lock == {"deployment": "d1", "by": "ola", "from": "control", "pid": 7}
    record(path, "d1", {"event": "switch", "what": "data"}, {"event": "test", "outcome": "ok"})
    assert locked(path)
    record(path, "d1", {"event": "end", "outcome": "failed"})
    assert not locked(path)


@pytest.mark.parametrize("check", [True, False])
def test_a_second_deployment_is_refused_with_all_that_helps(path: str, check: bool) -> None:
    record(path, "d1", {"event": "start"}, by="kari", host="elsewhere", pid=4711)
    before = Path(path).read_bytes()
    with pytest.raises(LedgerError) as caught:
        ledger.append(path, request("d2", {"event": "start"}), check=check)
    for word in ("d1", "kari", "elsewhere", "4711", "since 20", f"rm {path}.lock"):
        assert word in str(caught.value)
    assert caught.value.result()["holder"]["from"] == "elsewhere"
    assert Path(path).read_bytes() == before


def test_the_words_of_another_deployment_do_not_free_the_lock(path: str) -> None:
    record(path, "d1", {"event": "start"})
    record(path, "d0", {"event": "end", "outcome": "failed"})
    assert locked(path)


def test_only_one_of_many_starts_wins(path: str) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(12)

    def start(number: int) -> None:
        barrier.wait()
        try:
            record(path, f"d{number}", {"event": "start"})
            outcomes.append(f"d{number}")
        except LedgerError:
            outcomes.append("refused")

    threads = [threading.Thread(target=start, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [name for name in outcomes if name != "refused"]
    assert len(winners) == 1
    assert [line["deployment"] for line in lines(path)] == winners


def test_a_dead_deployment_is_ended_and_its_lock_taken(path: str) -> None:
    record(path, "d1", {"event": "start"}, release="v1", manifest="aa")
    done = record(path, "d2", {"event": "start"}, by="kari", takeover="d1")
    assert done.interrupted == "d1"
    end, start = lines(path)[1:]
    assert (end["deployment"], end["event"], end["outcome"], end["message"]) == ("d1", "end", "failed", "interrupted")
    assert (end["release"], end["manifest"], end["by"]) == ("v1", "aa", "kari")
    assert start["deployment"] == "d2"
    assert json.loads(os.readlink(path + ".lock"))["deployment"] == "d2"


def test_only_the_named_deployment_is_taken_over(path: str) -> None:
    record(path, "d1", {"event": "start"})
    with pytest.raises(LedgerError):
        record(path, "d2", {"event": "start"}, takeover="d0")


def test_a_lock_that_was_removed_by_hand_ends_its_deployment(path: str) -> None:
    record(path, "d1", {"event": "start"})
    Path(path + ".lock").unlink()
    assert record(path, "d2", {"event": "start"}).interrupted == "d1"
    assert [(line["deployment"], line["event"]) for line in lines(path)] == [
        ("d1", "start"), ("d1", "end"), ("d2", "start")
    ]  # fmt: skip


def test_the_lock_of_an_ended_deployment_is_no_obstacle(path: str) -> None:
    record(path, "d1", {"event": "start"})
    lock = os.readlink(path + ".lock")
    record(path, "d1", {"event": "end", "outcome": "ok"})
    os.symlink(lock, path + ".lock")  # as if killed before it was removed
    assert record(path, "d2", {"event": "start"}).interrupted is None
    assert [line["event"] for line in lines(path)] == ["start", "end", "start"]


def test_a_repeated_end_frees_a_lock_that_was_left(path: str) -> None:
    record(path, "d1", {"event": "start"})
    lock = os.readlink(path + ".lock")
    end = {"event": "end", "outcome": "ok"}
    record(path, "d1", end)
    os.symlink(lock, path + ".lock")
    assert record(path, "d1", end).changes
    assert not locked(path)
    assert len(lines(path)) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_a_lock_that_cannot_be_read_is_respected(path: str, content: bytes) -> None:
    Path(path + ".lock").write_bytes(content)
    with pytest.raises(LedgerError, match=r"held by a lock that cannot be read.*rm "):
        record(path, "d1", {"event": "start"})


@pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="needs strace")
def test_killed_at_any_system_call_the_next_run_converges(tmp_path: Path) -> None:
    code = (
        "import sys; from ansible_collections.ousamg.anno.plugins.module_utils import ledger\n"
        "ledger.append(sys.argv[1], ledger.Request('d1', [{'event': 'start'}]))\n"
        "ledger.append(sys.argv[1], ledger.Request('d1', [{'event': 'end', 'outcome': 'ok'}]))"
    )
    root = Path(__file__).parents[3]
    env = os.environ | {"PYTHONPATH": "collections"}
    kinds = {"openat": 3, "write": 2, "fsync": 4, "symlink": 1, "unlink": 1}
    killed = 0
    for kind, count in kinds.items():
        for number in range(1, count + 1):
            path = str(tmp_path / f"{kind}-{number}.jsonl")
            command = ["strace", "-qq", "-P", path, "-P", path + ".lock", "-P", str(tmp_path)]
            command += ["-e", f"trace={kind}", "-e", f"inject={kind}:signal=KILL:when={number}"]
            done = subprocess.run(
                [*command, "-o", "/dev/null", sys.executable, "-c", code, path], env=env, cwd=root, check=False
            )
            killed += done.returncode != 0
            record(path, "d2", {"event": "start"}, takeover="d1")
            record(path, "d2", {"event": "end", "outcome": "ok"})
            found = ledger.read(path)
            assert not locked(path) and not found.damaged
            assert (ledger.live(found.entries) or {})["deployment"] == "d2"
            assert ledger.unfinished(found.entries) is None
    assert killed >= 8


# Reading


def test_a_missing_ledger_is_empty(path: str) -> None:
    assert ledger.read(path) == Ledger([], [], torn=False, holder=None)
    assert ledger.live([]) is None and ledger.unfinished([]) is None


def test_live_is_the_last_that_ended_well(path: str) -> None:
    deploy(path, "d1", release="v1", manifest="aa")
    deploy(path, "d2", release="v2", manifest="bb")
    deploy(path, "d3", "failed", release="v3", manifest="cc")
    deploy(path, "d4", "rolled_back", release="v4", manifest="dd")
    record(path, "d5", {"event": "start"}, release="v5")
    entries = ledger.read(path).entries
    assert ledger.live(entries) == {
        "deployment": "d2", "site": "TSD", "env": "prod", "release": "v2", "manifest": "bb",
        "time": lines(path)[3]["time"], "by": "ola", "from": "control", "tested": False,
    }  # fmt: skip


def test_tested_is_what_the_last_test_of_the_live_manifest_says(path: str) -> None:
    def tested() -> bool:
        return bool((ledger.live(ledger.read(path).entries) or {})["tested"])

    record(path, "t0", {"event": "test", "outcome": "ok"})
    deploy(path, "d1")
    assert not tested()  # that was before this deployment
    record(path, "t1", {"event": "test", "outcome": "ok"}, manifest="another")
    assert not tested()
    record(path, "t2", {"event": "test", "outcome": "ok"})
    assert tested()
    record(path, "t3", {"event": "test", "outcome": "failed"})
    assert not tested()


def test_an_unfinished_deployment_tells_what_it_did(path: str) -> None:
    deploy(path, "d1")
    record(path, "d2", {"event": "start"})
    record(path, "d2", {"event": "switch", "what": "data", "before": "1", "after": "2"})
    found = ledger.unfinished(ledger.read(path).entries)
    assert found is not None
    assert (found["deployment"], found["by"], found["from"]) == ("d2", "ola", "control")
    assert [switch["what"] for switch in found["switched"]] == ["data"]
    record(path, "d2", {"event": "end", "outcome": "failed"})
    assert ledger.unfinished(ledger.read(path).entries) is None


def test_words_of_a_later_version_do_no_harm(path: str) -> None:
    Path(path).write_text('{"time": "t", "deployment": "d", "event": "new", "more": 1}\n', encoding="utf-8")
    found = ledger.read(path)
    assert found.damaged == [] and found.entries[0].event == "new"
