"""The anno service: its HTTP API, tasks in real folders, and the real vcfanno as their only step."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

from peers.server import Answer, Call, Peer

API = "/api/v1"
STEP = "VCFANNO"


class Anno(Peer):
    """Annotates from ``data`` into ``work``.

    ``hang``: its step does not end. ``fail``: its step fails. ``task_id``: what it says that a new task is called, None
    for the truth. ``samples``: VCFs by sample.
    """

    def __init__(self, data: Path, work: Path, samples: dict[str, str] | None = None) -> None:
        super().__init__()
        self.data, self.work, self.samples = data, work, samples or {}
        self.hang = self.fail = False
        self.task_id: str | None = None
        self._threads: list[threading.Thread] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        work.mkdir(parents=True, exist_ok=True)

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        super().__exit__()
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join()

    def answer(self, call: Call) -> Answer:
        kind, _, rest = call.path.removeprefix(f"{API}/").partition("/")
        if call.method == "POST" and (kind, rest) == ("annotate", ""):
            return Answer({"task_id": self.task_id or self.start(call.body["input"])}, 202)
        if call.method == "POST" and (kind, rest) == ("samples", "annotate"):
            sample = self.samples.get(call.body["sample_id"])
            if sample is None:
                return Answer({"message": "no such sample"}, 404)
            return Answer({"task_id": self.task_id or self.start(sample)}, 202)
        if kind == "samples":
            return Answer({name: {} for name in self.samples})
        if kind == "status" and not rest:
            return Answer({folder.name: self._last(folder) for folder in self.work.iterdir()})
        folder = self.work / rest
        if not rest.isdecimal() or not folder.is_dir():
            return Answer({"message": f"no task {rest}"}, 404)
        if kind == "status":
            words = {"active": (folder / "ACTIVE").exists(), "error": (folder / "FAILED").exists()}
            return Answer({"status": {"last": self._last(folder)}, **words})
        while (folder / "ACTIVE").exists():  # `process` waits for the end
            time.sleep(0.02)
        if (folder / "FAILED").exists():
            return Answer({"message": "the task has failed"}, 500)
        return Answer((folder / STEP / "output.vcf").read_bytes())

    def start(self, vcf: str) -> str:
        """Queue a task; its id."""
        with self._lock:
            number = str(
                max((int(folder.name) for folder in self.work.iterdir() if folder.name.isdecimal()), default=0) + 1
            )
            folder = self.work / number
            (folder / STEP).mkdir(parents=True)
        (folder / "ACTIVE").touch()
        (folder / "input.vcf").write_text(vcf)
        self._say(folder, "QUEUED")
        thread = threading.Thread(target=self._run, args=(folder,))
        self._threads.append(thread)
        thread.start()
        return number

    def _run(self, folder: Path) -> None:
        step = folder / STEP
        self._say(folder, f"{STEP}\tSTARTED")
        shutil.copy(self.data / "vcfanno_config.toml", step)
        base = "/nowhere" if self.fail else str(self.data)
        wait = "echo waiting for a lock >&2; exec sleep 3600\n" if self.hang else ""
        command = shlex.join(["vcfanno", "-p", "1", "-base-path", base, "vcfanno_config.toml", "../input.vcf"])
        (step / "cmd.sh").write_text(f"{wait}exec {command}\n")
        with (step / "output.vcf").open("wb") as output, (step / "output.log").open("wb") as log:
            process = subprocess.Popen(
                ["sh", "cmd.sh"], cwd=step, stdin=subprocess.DEVNULL, stdout=output, stderr=log, start_new_session=True
            )
            self._processes.append(process)
            (folder / "PID").write_text(str(process.pid))
            code = process.wait()
        (folder / "PID").unlink()
        self._say(folder, f"{STEP}\t{'FAILED' if code else 'DONE'}")
        self._say(folder, "FINALIZED")
        (folder / ("FAILED" if code else "SUCCESS")).touch()
        (folder / "ACTIVE").unlink()

    def _say(self, folder: Path, words: str) -> None:
        with (folder / "STATUS").open("a") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\t{words}\n")

    def _last(self, folder: Path) -> str:
        path = folder / "STATUS"
        return path.read_text().splitlines()[-1].split("\t", 1)[1] if path.exists() else ""
