# Copyright: (c) 2026, OUS AMG
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The minimal test of a deployment: variants that the updated packages know are annotated, and the result is looked at.

``plan`` tells from what is live which tables can be tested and how, ``apply`` does it, by each method that is
configured: ``api``, a task of the anno service; ``ella``, a reanalysis in ELLA; by ``direct``, vcfanno itself, if none.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Sequence, Set
from typing import Any, NamedTuple

from ansible_collections.ousamg.anno.plugins.module_utils import (
    annotation_check,
    data_folder,
    known_variants,
    ledger,
    tasks,
    vcfanno_run,
)
from ansible_collections.ousamg.anno.plugins.module_utils.anno_api import AnnoApi
from ansible_collections.ousamg.anno.plugins.module_utils.annotated_vcf import AnnotatedVcfError
from ansible_collections.ousamg.anno.plugins.module_utils.annotation_check import Expected
from ansible_collections.ousamg.anno.plugins.module_utils.data_folder import Contents
from ansible_collections.ousamg.anno.plugins.module_utils.ella_api import DONE, EllaApi, Login, Sample
from ansible_collections.ousamg.anno.plugins.module_utils.errors import AnnoError
from ansible_collections.ousamg.anno.plugins.module_utils.known_variants import Known
from ansible_collections.ousamg.anno.plugins.module_utils.problems import listed
from ansible_collections.ousamg.anno.plugins.module_utils.progress import Progress, duration
from ansible_collections.ousamg.anno.plugins.module_utils.vcfanno_run import Program
from ansible_collections.ousamg.anno.plugins.module_utils.web import Limits

API, ELLA, DIRECT = "api", "ella", "direct"
OUTPUT = os.path.join("VCFANNO", "output.vcf")

_POLL = 0.5
# Seconds that a call may take, and in which a service that was just started must accept connections.
_CALL = 60.0
_MAX_VCF = 4 << 20
_GOES_ON = "Look at it: it goes on by itself. Give it more time (minimal_test_timeout) where it only is slow."
NO_TABLES = "not testable this way: it has no vcfanno tables"


class AnnotationTestError(AnnoError):
    """What is live is not the release, or does not annotate as it should. ``details`` are more keys of the result."""

    def __init__(self, path: str, found: str, expected: str, todo: str, **details: Any) -> None:
        super().__init__(path, found, expected, todo)
        self.details = details

    def result(self) -> dict[str, Any]:
        return super().result() | self.details


class Ella(NamedTuple):
    url: str
    login: Login
    sample: Sample


class Request(NamedTuple):
    """What to test.

    :param packages: name and version of each updated package; none for a release of code alone.
    :param manifest: the digest that the ledger must have as live; ``image`` the name of the file that ``image_link``
        must lead to, None where the release has none.
    :param vcf: a VCF of one's own, in place of the one that is made; values that it has of tested names are left out.
    :param name: of the analysis in ELLA.
    :param timeout: seconds for all of it.
    """

    data: str
    packages: Sequence[tuple[str, str]]
    ledger: str
    manifest: str
    image: str | None
    image_link: str
    program: Program
    name: str
    timeout: float
    api: str | None = None
    ella: Ella | None = None
    work: str | None = None
    vcf: str | None = None
    base_path: str | None = None
    progress: str | None = None


class Untestable(NamedTuple):
    """A package, or one ``file`` of it, that this test tells nothing of."""

    package: str
    file: str | None
    why: str

    @property
    def what(self) -> str:
        return f"{self.package} ({self.file})" if self.file else self.package


class Plan(NamedTuple):
    """``known`` are the tables to test, ``versions`` the live versions by package, ``vcf`` the text to annotate."""

    methods: tuple[str, ...]
    known: tuple[Known, ...]
    untestable: tuple[Untestable, ...]
    versions: dict[str, str | None]
    vcf: str
    reasons: tuple[str, ...]

    def result(self) -> dict[str, Any]:
        return {
            "methods": list(self.methods),
            "tested": [
                {"package": k.table.package, "version": self.versions[k.table.package], "file": k.table.file}
                for k in self.known
            ],
            "untestable": [{**item._asdict(), "what": item.what} for item in self.untestable],
            "reasons": list(self.reasons),
        }


def plan(request: Request) -> Plan:
    """What would be tested and how. Raises AnnotationTestError where the release is not live or nothing can be tested,
    other AnnoErrors and OSError."""
    contents = _require_live(request)
    versions = {name: source.version for name, source in contents.sources.items()}
    methods = tuple(m for m, given in ((API, request.api), (ELLA, request.ella)) if given) or (DIRECT,)
    if request.ella and not request.work:
        todo = "Add work, the folder of anno's tasks, to the instance in the inventory."
        raise AnnotationTestError("ella", "the work folder of anno is not given", "where its tasks lie", todo)
    tables = {name: known_variants.tables_of(name, source.vcfanno) for name, source in contents.sources.items()}
    names = [name for name, _ in request.packages]
    untestable = [Untestable(name, None, NO_TABLES) for name in names if not tables[name]]
    known = [known_variants.look(request.data, table) for name in names for table in tables[name]]
    reasons = []
    if all(k.why for k in known):
        reasons.append("no updated package can be tested this way: all live ones that can are tested")
        others = sorted(tables.keys() - set(names))
        known += [known_variants.look(request.data, table) for name in others for table in tables[name]]
    untestable += [Untestable(k.table.package, k.table.file, k.why) for k in known if k.why]
    testable = tuple(k for k in known if not k.why)
    if not testable:
        found = "; ".join(f"{item.what}: {item.why}" for item in untestable)
        todo = "Check the data folder with ousamg.anno.data_validate."
        raise AnnotationTestError(request.data, f"nothing can be tested. {found}", "a table with variants", todo)
    if request.vcf:
        vcf = known_variants.without(_own(request.vcf), {name for k in testable for name in k.table.names})
    else:
        vcf = known_variants.render([v for k in testable for v in k.variants])
    reasons += [_reason(k, versions[k.table.package], request.vcf) for k in testable]
    reasons += [f"{item.what}: {item.why}" for item in untestable]
    reasons += [f"by {_way(method, request)}" for method in methods]
    return Plan(methods, testable, tuple(untestable), versions, vcf, tuple(reasons))


def apply(request: Request, planned: Plan) -> dict[str, str]:
    """Do it. Returns the tasks of anno by method. Raises as :func:`plan` does, and where something is missing."""
    watch = _Watch(request)
    done: dict[str, str] = {}
    folder = tempfile.mkdtemp(prefix="anno-test-")
    try:
        for method in planned.methods:
            if method == ELLA and request.ella and request.work:
                path, task = _through_ella(request, request.ella, request.work, watch)
            elif method == API:
                path, task = _through_api(request, planned, folder, watch)
            else:
                path, task = _directly(request, planned, folder, watch), ""
            if task:
                done[method] = task
            # Steps after vcfanno may write its texts anew: these are compared in its own output.
            _check(request, planned, method, path, task, watch, texts=method == DIRECT)
            if method == API and request.work:
                _check(request, planned, method, os.path.join(request.work, task, OUTPUT), task, watch, texts=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # Whoever deployed meanwhile has replaced what was tested.
    _require_live(request)
    return done


class _Watch:
    """The clock of a test: how long it may still take, and a word to whoever waits."""

    def __init__(self, request: Request) -> None:
        self._progress = Progress(request.progress, "minimal test", None)
        self.given = duration(request.timeout)
        self.deadline = time.monotonic() + request.timeout
        longest = min(_CALL, request.timeout)
        self.limits = Limits(longest, longest, self.tick)
        self.what("starting")

    def what(self, text: str) -> None:
        self._progress.what = text
        self.tick()

    def tick(self, _: int = 0) -> None:
        self._progress.update()

    def wait(self, what: str) -> bool:
        """Wait a moment. False when the time is up."""
        self.what(what)
        time.sleep(_POLL)
        return time.monotonic() < self.deadline


def _require_live(request: Request) -> Contents:
    """What is there. Raises unless the manifest's release is live, by that and by the record."""
    contents = data_folder.read_contents(request.data)
    versions = {name: source.version for name, source in contents.sources.items()}
    book = ledger.read(request.ledger)
    if book.holder is not None:
        found = f"deployment {book.holder.deployment} of {book.holder.by} is under way, since {book.holder.since}"
        todo = "Wait until it has ended, then test. If that run is gone, deploy again: it is ended then."
        raise AnnotationTestError(request.ledger, found, "no deployment of this instance", todo)
    live = ledger.live(book.entries)
    todo = "Deploy the release, or name the one that is live with `-e release=…`."
    if live is None or live["manifest"] != request.manifest:
        on_record = f"{live['release']} (manifest {live['manifest'][:12]})" if live else "nothing"
        found = f"by the record {on_record} is live"
        raise AnnotationTestError(request.ledger, found, f"manifest {request.manifest[:12]}", todo)
    differing = [(name, wanted) for name, wanted in request.packages if versions.get(name) != wanted]
    wrong = [f"{name} is {versions.get(name) or 'not there'} and not {wanted}" for name, wanted in differing]
    if wrong:
        raise AnnotationTestError(request.data, "; ".join(wrong), "the packages of the release", todo)
    if request.image and os.path.basename(os.path.realpath(request.image_link)) != request.image:
        found = f"it leads to {os.path.realpath(request.image_link)}"
        raise AnnotationTestError(request.image_link, found, request.image, todo)
    return contents


def _own(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        text = stream.read(_MAX_VCF + 1)
    if not text.startswith("##fileformat=VCF") or len(text) > _MAX_VCF:
        todo = "Correct minimal_test_vcf, or leave it out: a VCF is made of the data then."
        raise AnnotationTestError(path, "it is no VCF, or too large", f"a plain VCF of at most {_MAX_VCF} bytes", todo)
    return text


def _reason(known: Known, version: str | None, own: str | None) -> str:
    variants = f"the variants of {own}" if own else listed([f"{v.contig}:{v.position}" for v in known.variants], 2)
    return f"{known.table.package} {version}: {variants} → {listed(known.table.names)} from {known.table.file}"


def _way(method: str, request: Request) -> str:
    if method == ELLA and request.ella:
        return f"a reanalysis of {request.ella.sample.sample_id} in ELLA at {request.ella.url}"
    return f"a task of the anno service at {request.api}" if method == API else f"{request.program} on this host"


def _through_api(request: Request, planned: Plan, folder: str, watch: _Watch) -> tuple[str, str]:
    anno = AnnoApi(request.api or "", watch.limits)
    watch.what(f"submitting to {anno.url}")
    before = _in(request.work) if request.work else anno.tasks()
    task = anno.submit(planned.vcf)
    where = f"{anno.url} task {task}"
    while (status := anno.status(task)).active:
        if not watch.wait(f"task {task}{_step_words(request.work, task)}"):
            found = f"the task has not ended after {watch.given}"
            raise _task_error(where, found, "a task that ends well", _GOES_ON, request.work, task)
    _require_new(where, task, before, request.work)
    if status.failed:
        todo = "Mend what its log tells, then test again."
        raise _task_error(where, "the task has failed", "a task that ends well", todo, request.work, task)
    watch.what(f"task {task}, reading its result")
    path = os.path.join(folder, "result.vcf")
    with open(path, "wb") as stream:
        stream.write(anno.result(task))
    return path, task


def _through_ella(request: Request, given: Ella, work: str, watch: _Watch) -> tuple[str, str]:
    ella = EllaApi(given.url, watch.limits)
    watch.what(f"logging in to {ella.url}")
    ella.log_in(given.login)
    ella.check_anno()
    before = _in(work)
    number = ella.create(given.sample, request.name)
    where = f"{ella.url} job {number}"
    while (job := ella.job(number)).status != DONE:
        if job.failed:
            found = f"the job is {job.status}{f': {job.message}' if job.message else ''}"
            todo = "Mend what it tells, then test again."
            raise _task_error(where, found, "a job that ends as DONE", todo, work, job.task)
        words = f", task {job.task}{_step_words(work, job.task)}" if job.task else ""
        if not watch.wait(f"job {number} {job.status}{words}"):
            found = f"the job is still {job.status} after {watch.given}"
            raise _task_error(where, found, "a job that ends as DONE", _GOES_ON, work, job.task)
    if job.task is None:
        todo = "Look at the job in ELLA."
        raise AnnotationTestError(where, "it is DONE without a task of anno", "the task_id of anno", todo)
    _require_new(where, job.task, before, work)
    return os.path.join(work, job.task, OUTPUT), job.task


def _in(work: str) -> set[str]:
    """The tasks in a work folder; the service makes the folder with the first one."""
    return set(os.listdir(work)) if os.path.exists(work) else set()


def _require_new(where: str, task: str, before: Set[str], work: str | None) -> None:
    """Raise for a task that is of an earlier run or of another instance: its result would tell of other data."""
    if task in before:
        found, todo = "was there before this test", "Look at the service: each submission has to get a task of its own."
        raise AnnotationTestError(where, f"task {task} {found}", "a new task", todo, task=task)
    if work and not os.path.isdir(os.path.join(work, task)):
        todo = "Correct api, ella and work of the instance in the inventory: they have to be of one anno service."
        raise AnnotationTestError(where, f"there is no task {task} in {work}", "its folder there", todo, task=task)


def _directly(request: Request, planned: Plan, folder: str, watch: _Watch) -> str:
    with open(os.path.join(folder, "in.vcf"), "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(planned.vcf)
    watch.what(f"{request.program} runs")
    return vcfanno_run.annotate(request.program, request.data, folder, watch.deadline, watch.tick)


def _check(
    request: Request, planned: Plan, method: str, path: str, task: str, watch: _Watch, *, texts: bool
) -> None:
    """Raise AnnotationTestError where something is missing. ``texts``: the values themselves are compared, too."""
    watch.what("looking at the annotated VCF")
    # A sample, or a VCF of one's own, need not have what was picked from the tables.
    picked = method != ELLA and not request.vcf
    expected = [
        Expected(known.table, known.names, known.values if texts else ()) if picked else Expected(known.table)
        for known in planned.known
    ]
    base = request.data if method == DIRECT else request.base_path
    # What was read from an API, or written into a folder that is gone by now, has no path that a person could look at.
    read = f"the result of {request.api} task {task}"
    where = {(API, False): read, (DIRECT, True): f"the result of {request.program}"}.get((method, texts), path)
    try:
        if method == ELLA:
            annotation_check.require_one_run(path)
        missing = annotation_check.check(path, expected, request.data, base, watch.tick)
    except AnnotatedVcfError as error:
        raise AnnotationTestError(where, error.found, error.expected, error.todo, task=task or None) from None
    if missing:
        found = "; ".join(f"{m.package} ({m.file}): {listed(m.names)} {m.reason}" for m in missing)
        wanted = "a value of each of these names, annotated from this file"
        todo = "Compare sources.json and vcfanno_config.toml of the data folder, and that anno runs with this folder."
        if method == ELLA:
            todo += " Where only values are missing, choose a sample that has variants of these packages."
        told = [{**m._asdict(), "version": planned.versions[m.package]} for m in missing]
        raise AnnotationTestError(where, found, wanted, todo, missing=told, task=task or None)


def _task_error(
    where: str, found: str, expected: str, todo: str, work: str | None, task: str | None
) -> AnnotationTestError:
    """An error with the step that the task is in, and the end of its log."""
    step = tasks.last_step(work, task) if work and task else None
    if step is None:
        if task and not work:
            todo += " Its logs are in the work folder of the service, which the inventory does not name."
        return AnnotationTestError(where, found, expected, todo, task=task)
    found += f" (step {step.name} {step.state})"
    if step.tail:
        found += f". The end of {step.log}:\n" + "\n".join(step.tail) + "\n(end of the log)"
    return AnnotationTestError(where, found, expected, todo, task=task, step=step.name)


def _step_words(work: str | None, task: str) -> str:
    step = tasks.last_step(work, task) if work else None
    return f", {step.name} {step.state}" if step else ""
