"""A platform after all plays of `event_cases`, what must be true of some beyond their end, and
dispatch by itself.
"""

import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from functions.gitlab import GitLab as Adapter
from shared.dispatch import dispatch
from shared.incoming.delivery import VerifiedDelivery
from shared.incoming.payloads import parse
from shared.installation.secrets import Cached, GitLabSecrets
from shared.outcome.reasons import Reason, Retry
from shared.runs.detect import ask
from shared.runs.record import ATTEMPTS
from shared.services import Services
from tests.support import event_cases as cases
from tests.support import fakes
from tests.support.event_cases import NO_ENTRY, OURS, PROJECT, Scene
from tests.support.fakes import SIGNING_TOKEN
from tests.support.gitlab.deliveries import sign
from tests.support.gitlab.server import Delivery, GitLab
from tests.support.platforms import Answer, Platform

GITLAB_SECRETS = json.dumps({"api_token": cases.API_TOKEN, "trigger_tokens": cases.TRIGGER_TOKENS})
TRIGGER = f"POST /api/v4/projects/{PROJECT}/trigger/pipeline"


class Told(NamedTuple):
    """What became of one delivery or several: the answers, and by run the calls that started a
    pipeline, our notes.
    """

    play: cases.Play
    answers: list[dict[str, Any]]
    starts: list[dict[str, Any]]
    notes: list[dict[str, Any]]
    emoji: list[str]


class Played:
    """A platform after all plays."""

    def __init__(self, platform: Platform, gitlab: GitLab) -> None:
        self.platform, self.gitlab = platform, gitlab
        cases.seed(gitlab)
        self._scenes = []
        self.all_vintages = (
            platform.name == "local"
        )  # on the clouds one of them: their calls take their time
        for case, play, deliveries in cases.scenes(gitlab, all_vintages=self.all_vintages):
            answers = [self.deliver(*each) for each in deliveries]
            assert {answer.status for answer in answers} <= {200, 202}, (case, answers)
            self._scenes.append((case, play, [json.loads(answer.body) for answer in answers]))
        platform.settle(60)

    def deliver(self, headers: dict[str, str], body: bytes) -> Answer:
        """Send a delivery as GitLab 19 signs it, whatever GitLab's its payload is."""
        fresh = {"webhook-id": "before-19", **headers}
        return self.platform.deliver("POST", sign(fresh, body, SIGNING_TOKEN, time.time()), body)

    def new(self, text: str = cases.ASKING) -> tuple[dict[str, str], bytes]:
        """Return a delivery that has not been seen, signed now."""
        [(headers, body)] = Scene(self.gitlab, "19").said(text=text)
        return sign(headers, body, SIGNING_TOKEN, time.time()), body

    def told(self, case: str) -> list[Told]:
        """Return what became of a case: an entry for each play, and vintage where all are shown."""
        return [self._told(play, answers) for each, play, answers in self._scenes if each == case]

    def _told(self, play: cases.Play, answers: list[dict[str, Any]]) -> Told:
        runs = {answer["run"] for answer in answers if answer["run"]}
        starts = [
            call.json
            for call in self.gitlab.calls
            if call.path.endswith("/trigger/pipeline") and call.status == 201
        ]
        notes = [each for each in self.gitlab.notes.values() if each["author_id"] == OURS]
        awards = [each["name"] for each in self.gitlab.emoji.values() if each["user_id"] == OURS]
        return Told(
            play,
            answers,
            [start for start in starts if start["ai_flow"]["id"] in runs],
            [note for note in notes if any(f"run={run} -->" in note["body"] for run in runs)],
            awards,
        )


def internal(played: Played, told: Told) -> None:
    [note] = told.notes
    first = played.gitlab.notes[played.gitlab.ids("discussion", note["discussion_id"])[0]]
    issue = played.gitlab.noteable("issue", PROJECT, note["noteable_iid"])
    assert issue
    assert note["internal"] == first["internal"]
    assert note["internal"] or issue["confidential"]
    assert told.starts[0]["ai_flow"]["context"]["note"]["internal"]


def with_its_line(_: Played, told: Told) -> None:
    context = told.starts[0]["ai_flow"]["context"]
    assert (context["position"]["new_path"], context["position"]["new_line"]) == ("app.py", 4)
    assert "new line 4 of app.py" in context["hunk"]


def in_its_discussion(played: Played, told: Told) -> None:
    [note] = told.notes
    assert [
        played.gitlab.notes[each]["author_id"]
        for each in played.gitlab.ids("discussion", note["discussion_id"])
    ] == [
        cases.ADA,
        cases.ADA,
        OURS,
    ]


def strangers_get_an_emoji(_: Played, told: Told) -> None:
    # Known for ten minutes from the first on; those carried out at the same time get one each.
    assert 1 <= told.emoji.count(NO_ENTRY) <= len(cases.ALL)


def on_the_default_branch(_: Played, told: Told) -> None:
    assert [start["ref"] for start in told.starts] == ["main"]


def logged(played: Played, told: Told) -> None:
    [answer] = told.answers
    lines = [line for line in played.platform.output().splitlines() if answer["run"] in line]
    assert any("gitlab_refused" in line for line in lines)


def one_run(_: Played, told: Told) -> None:
    assert len(told.answers) == 2
    assert len({answer["run"] for answer in told.answers}) == 1


def two_runs(_: Played, told: Told) -> None:
    assert len({start["ai_flow"]["id"] for start in told.starts}) == 2


def two_runs_in_order(played: Played, told: Told) -> None:
    started, asked = (
        [start["ai_flow"]["id"] for start in told.starts],
        [answer["run"] for answer in told.answers],
    )
    if (
        played.platform.name == "gcp"
    ):  # Cloud Tasks promises no order; the job's resource group runs one at a time
        started, asked = sorted(started), sorted(asked)
    assert started == asked


def one_repair_each(played: Played, _: Told) -> None:
    calls = (call for call in played.gitlab.calls if call.path.endswith("/trigger/pipeline"))
    flows = [call.json["ai_flow"] for call in calls if call.status == 201]
    started = [flow["context"]["merge_request"]["iid"] for flow in flows if flow["event"] == "auto"]
    assert len(started) == len(set(started)) == len(played.told("E057"))
    assert {flow["command"] for flow in flows if flow["event"] == "auto"} == {"fix"}


def with_their_task(task: str) -> Callable[[Played, Told], None]:
    def check(_: Played, told: Told) -> None:
        assert [start["ai_flow"]["event"] for start in told.starts] == [task]

    return check


MORE: dict[str, Callable[[Played, Told], None]] = {
    "E014": strangers_get_an_emoji,
    "E017": internal,
    "E021": with_its_line,
    "E022": in_its_discussion,
    "E028": with_their_task("assign"),
    "E030": with_their_task("assign_reviewer"),
    "E031": with_their_task("assign_reviewer"),
    "E032": with_their_task("label"),
    "E034": on_the_default_branch,
    "E036": logged,
    "E037": one_run,
    "E038": one_run,
    "E039": two_runs,
    "E040": two_runs_in_order,
    "E057": one_repair_each,
}


class Worker:
    """`dispatch` on the stand-in, as a queue calls it: again after the wait it asked for."""

    def __init__(self, **environment: str) -> None:
        self.clock, self.log, self.waits = fakes.Clock(), fakes.Log(), list[float]()
        self.gitlab = GitLab(clock=self.clock)
        self.environment = cases.SETTINGS | environment

    def __enter__(self) -> Self:
        self.gitlab.__enter__()
        cases.seed(self.gitlab)
        secrets = Cached(lambda: GITLAB_SECRETS, GitLabSecrets.parse, self.clock)
        settings = fakes.settings(GITLAB_URL=self.gitlab.url, **self.environment)
        self.adapter = Adapter(self.gitlab.url, secrets)
        self.services = Services(
            settings, secrets, fakes.Records(), self.adapter, self.clock, self.log
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.gitlab.close()
        assert not [fault for fault in self.gitlab.pending_faults if fault.startswith(TRIGGER)]

    def carry(self, delivery: Delivery) -> Reason:
        """Carry out what a delivery asks for, to its end."""
        run = ask(parse(VerifiedDelivery(delivery[1])), self.services.settings)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return dispatch(run, self.services, last=attempt == ATTEMPTS)
            except Retry as error:
                self.waits.append(error.after)
                self.clock.time += error.after
        raise AssertionError

    @property
    def replies(self) -> list[str]:
        return [note["body"] for note in self.gitlab.notes.values() if note["author_id"] == OURS]
