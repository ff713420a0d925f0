"""The use case on a schedule: find what no delivery told of, in however many projects.

A sweep has less time than GitLab may need for all projects, so it goes by what it knows of each
(`shared.runs.projects`): first those where something may have happened, longest unseen first, then
those unseen for a day, whatever GitLab says of them. What is left, the next sweep begins with.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import NamedTuple

from shared.gitlab.values import GitLabError
from shared.leftovers import attend
from shared.look import OVERLAP, Look, OutOfTimeError
from shared.outcome.reasons import Reason, Retry
from shared.runs import projects, store
from shared.runs import record as run_record
from shared.runs.legible import legible
from shared.runs.projects import Mark
from shared.runs.record import RecordError
from shared.runs.store import Queue
from shared.services import Services

# Seconds: the functions have 100 (template.yaml, cloudbuild.yaml), and a call may take 13.
BUDGET = 75.0
# Seconds in which each project is looked at, whatever GitLab says of it. With fewer projects than
# many it is shorter, for the same number of calls a day.
ROUND = 24 * 3600.0
_MANY = 100
SHORTEST = 3600.0  # seconds; also for projects that GitLab's list of active ones does not tell of
# Seconds by which GitLab's time of last activity may be late: it is written once an hour
# (gitlabhq app/models/event.rb, RESET_PROJECT_ACTIVITY_INTERVAL); and some, for replicas.
LATE = 3600.0 + 600.0
_ENOUGH = 5  # failures in a row, after which GitLab is left alone until the next sweep
_OF_PROJECT = (403, 404)  # what GitLab answers where one project is out of our reach
_SAVED_EVERY = 10.0  # seconds of work that a sweep that is killed may lose
TOKEN_ENDS_SOON = 14  # days
_NAMES_KEPT = 3600.0  # seconds before a path of the settings is looked up again
# What one project's data may raise where nobody foresaw it; the others are looked at all the same.
_UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError)


class Swept(NamedTuple):
    """What a sweep found.

    Projects looked at, projects that could not be, mentions queued, webhooks that are off, and
    projects left for the next sweep for want of time.
    """

    projects: int
    failed: int
    found: int
    disabled_hooks: int
    left: int = 0


def sweep(services: Services, queue: Queue, *, since: float | None = None) -> Swept:
    """Look at the projects where something may have been missed, for BUDGET seconds at most.

    With `since` (Unix seconds): at every known project, since then, even if the installation is
    disabled; of what is left, the sweeps that follow are the rest. What it finds goes through the
    same detection, the same run id and the same record as a delivery, so nothing doubles.
    """
    readable = legible(services.records, services.log)
    return _Sweep(services._replace(records=readable), queue, since).run()


def carry_out(task: Mapping[str, object], services: Services, queue: Queue) -> dict[str, object]:
    """Do what the schedule or an operator asks; raise ValueError for a time that is none.

    `{}` and `{"since": "2026-11-23T08:00:00Z"}` sweep. `{"replay": ["<run id>"]}` replays dead
    letters, `{"replay": "all"}` every one. `{"look": true}` only looks whether GitLab is reached;
    `{"look": "<sign>"}` logs what was seen under that sign, for who gets no answer.
    """
    if "look" in task:
        seen, sign = reached(services), task["look"]
        if isinstance(sign, str):
            services.log("INFO", {"reason": "looked", "look": sign[:32], "gitlab": seen})
        return {"gitlab": seen}
    if "replay" in task:
        named = task["replay"]
        run_ids = [str(run_id) for run_id in named] if isinstance(named, list) else None
        return {"replayed": replay(services, queue, run_ids)}
    since = task.get("since")
    start = datetime.fromisoformat(str(since)).timestamp() if since else None
    return sweep(services, queue, since=start)._asdict()


def reached(services: Services) -> str:
    """Return `answers` where GitLab is reached with the API token, else what failed on the way."""
    try:
        services.gitlab.own_id()
    except GitLabError as error:
        return str(error)
    except Retry as error:
        return str(error.reason)
    return "answers"


def replay(services: Services, queue: Queue, run_ids: list[str] | None = None) -> list[str]:
    """Put dead letters into the queue again, those of the named runs or all; return which."""
    services = services._replace(records=legible(services.records, services.log))
    replayed = []
    for run_id in store.dead_letters(services.records) if run_ids is None else run_ids:
        try:
            if run_record.replay(run_id, queue, services.records, services.now()):
                replayed.append(run_id)
        except RecordError as error:
            reason = str(Reason.RECORD_UNREADABLE)
            services.log("ERROR", {"reason": reason, "run": run_id, "error": str(error)})
    return replayed


class _Sweep:
    """One sweep: what is known of the projects, and what was seen so far."""

    def __init__(self, services: Services, queue: Queue, since: float | None) -> None:
        self._services, self._queue, self._since = services, queue, since
        self._began = self._saved = services.now()
        self._total = Swept(0, 0, 0, 0)
        self._marks = projects.known(services.records)
        self._unsaved: dict[int, Mark] = {}
        self._in_a_row = 0

    def run(self) -> Swept:
        """Attend to what is left over, look at what is due, and log what was seen."""
        attend(self._services, self._queue)
        self._warn_of_the_model()
        self._warn_of_the_token()
        for project_id in self._named():
            self._marks.setdefault(project_id, Mark())
        if self._since is not None:
            self._rewind(self._since)
        urgent, others = self._due()
        end = self._began + BUDGET
        try:
            # The round has half of the time where it needs that, or it would never come about.
            self._look_at(urgent, end - BUDGET / 2 if others else end)
            self._look_at(others, end)
            self._look_at(urgent, end)
        finally:
            # GitLab may not tell of them again: that they are due is to be known without it.
            self._unsaved |= {each: self._marks[each]._replace(due=1) for each in urgent}
            self._save()
        self._count(left=len(urgent) + len(others))
        self._services.log("INFO", {"reason": "swept", **self._total._asdict()})
        return self._total

    def _warn_of_the_model(self) -> None:
        """Log once a day that the model has an end, from 60 days before it on."""
        settings, records = self._services.settings, self._services.records
        today = datetime.fromtimestamp(self._began, UTC).date().isoformat()
        said = settings.model.advice(today)[1]
        told, version = records.read("sweep/model") if said else (today, None)
        if told != today:
            records.write("sweep/model", today, version, int(self._began) + projects.KEPT)
            self._services.log("WARNING", {"reason": str(Reason.MODEL_RETIRES), "error": said})

    def _warn_of_the_token(self) -> None:
        """Ask once a day when the API token expires, and log it from 14 days before on.

        A token that may not be asked about is said to be so once, for whoever looks for it.
        """
        key, records = "sweep/token", self._services.records
        today = datetime.fromtimestamp(self._began, UTC).date()
        asked, version = records.read(key)
        day, _, hidden = (asked or "").partition(" ")
        if day == today.isoformat():
            return
        left = TOKEN_ENDS_SOON + 1
        try:
            ends = self._services.gitlab.token_ends()[:10]
            with suppress(ValueError):  # no day, so it does not expire
                left = (date.fromisoformat(ends) - today).days
        except (GitLabError, Retry) as error:
            if not isinstance(error, GitLabError) or not error.refused:
                return
            if not hidden:
                fields = {"reason": str(Reason.GITLAB_REFUSED), "status": error.status}
                self._services.log("DEBUG", fields | {"error": "token"})
            hidden = "hidden"
        records.write(key, f"{today} {hidden}", version, int(self._began) + projects.KEPT)
        if left <= TOKEN_ENDS_SOON:
            said = f"the API token expires on {ends}, in {left} days"
            self._services.log("WARNING", {"reason": str(Reason.TOKEN_EXPIRES), "error": said})

    def _due(self) -> tuple[deque[int], deque[int]]:
        """Return where something may have happened, and where it is time; longest unseen first."""
        active = self._active() if self._marks and self._since is None else {}
        urgent, others = deque[int](), deque[int]()
        for project_id in sorted(self._marks, key=lambda each: self._marks[each].tried):
            mark = self._marks[project_id]
            if mark.due or mark.live or active.get(project_id, 0) + LATE > mark.until:
                urgent.append(project_id)
            elif mark.until <= self._began - self._period(project_id, mark):
                others.append(project_id)
        return urgent, others

    def _period(self, project_id: int, mark: Mark) -> float:
        """Return the seconds after which a project is looked at unasked.

        Of many, some come round earlier: those that became known at once must not fall due at once.
        """
        if not mark.listed:
            return SHORTEST
        count = len(self._marks)
        if count > _MANY:
            return ROUND * (1 - project_id % _MANY / _MANY / 4)
        return max(SHORTEST, ROUND / _MANY * count)

    def _active(self) -> dict[int, float]:
        """Return when something last happened, for the projects GitLab's list tells of."""
        key, records = "sweep/listed", self._services.records
        text, version = records.read(key)
        since = float(text or self._began - ROUND) - LATE
        active: dict[int, float] = {}
        try:
            for project_id, at in self._services.gitlab.active_projects(since):
                active[project_id] = at
                if self._services.now() > self._began + BUDGET / 4:
                    return active  # the next list tells of the same time again
        except GitLabError as error:
            self._fail(error)
            return active
        records.write(key, repr(self._began), version, int(self._began) + projects.KEPT)
        return active

    def _named(self) -> Iterator[int]:
        """Yield the ids of the projects that the settings name, no globs."""
        settings, secrets = self._services.settings, self._services.secrets.get()
        for name in dict.fromkeys((*settings.allowed_projects, *secrets.trigger_tokens)):
            if name.isdecimal():
                yield int(name)
            elif not set(name) & set("*?["):
                try:
                    project_id = self._id_of(name)
                except GitLabError as error:
                    self._fail(error)
                else:
                    yield from (project_id,) if project_id else ()

    def _id_of(self, path: str) -> int:
        """Return the id of the project at a path, 0 for none; GitLab is asked once an hour."""
        key, records = f"sweep/named/{path}", self._services.records
        text, version = records.read(key)
        project_id, asked_at = json.loads(text or "[0, 0]")
        if self._began - asked_at > _NAMES_KEPT:
            project = self._services.gitlab.project(path)
            project_id = project.id if project else 0
            found = json.dumps([project_id, int(self._began)])
            records.write(key, found, version, int(self._began) + projects.KEPT)
        return int(project_id)

    def _rewind(self, since: float) -> None:
        until = int(since + OVERLAP)
        self._marks = {
            each: mark._replace(until=min(mark.until or until, until), hooks=-1, due=1)
            for each, mark in self._marks.items()
        }
        self._unsaved |= self._marks

    def _look_at(self, due: deque[int], until: float) -> None:
        while due and self._services.now() < until and self._in_a_row < _ENOUGH:
            project_id = due.popleft()
            self._unsaved[project_id] = self._visit(project_id, self._marks[project_id])
            if self._services.now() - self._saved > _SAVED_EVERY:
                self._save()

    def _visit(self, project_id: int, mark: Mark) -> Mark:
        """Look at a project, whatever is wrong with it, and return its new mark."""
        services = self._services
        seen = mark._replace(tried=int(services.now()), due=1)
        try:
            project = services.gitlab.project(str(project_id))
            served = project and services.settings.serves(project.id, project.path)
            # One that asks nothing may run the jobs of others.
            if project is None or not (served or mark.live):
                return seen._replace(until=int(services.now()), due=0)
            look = Look(project, mark, services, self._queue, self._began + BUDGET)
            try:
                enabled = services.settings.enabled or self._since is not None
                look.look(served=bool(served) and enabled)
            finally:
                seen = look.mark
                self._count(found=look.found, disabled_hooks=look.disabled)
            self._count(projects=1)
            self._in_a_row = 0
        except OutOfTimeError:
            self._count(left=1)
        except (GitLabError, Retry, *_UNREADABLE) as error:
            self._fail(error, project_id)
        return seen

    def _fail(self, error: Exception, project_id: int = 0) -> None:
        self._count(failed=1)
        status = error.status if isinstance(error, GitLabError) else 0
        unavailable = isinstance(error, GitLabError | Retry)
        self._in_a_row += unavailable and status not in _OF_PROJECT
        reason = Reason.GITLAB_UNAVAILABLE if unavailable else Reason.DEFECT
        what = "sweep" if unavailable else type(error).__name__
        fields = {"reason": str(reason), "error": what, "status": status}
        if isinstance(error, GitLabError):
            fields["cause"] = str(error)
        severity = "WARNING" if unavailable else "ERROR"
        self._services.log(severity, fields | {"project_id": project_id})

    def _count(self, **more: int) -> None:
        total = self._total._asdict()
        self._total = Swept(**{name: total[name] + more.get(name, 0) for name in total})

    def _save(self) -> None:
        projects.save(self._unsaved, self._services.records, self._services.now())
        self._unsaved, self._saved = {}, self._services.now()
