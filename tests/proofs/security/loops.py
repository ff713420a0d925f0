"""Bots that talk to each other and to us for ever: how many runs that starts, by a false clock."""

from collections import Counter
from typing import Any, NamedTuple

from shared.gitlab.values import Member, User
from tests.proofs.security import journeys
from tests.support import fakes

OURS, FIRST, SECOND, HUMAN = 99, 43, 44, 42
NAMES = {OURS: "claude", FIRST: "renovate", SECOND: "triage", HUMAN: "ada"}
PER_THREAD, PER_USER, PER_DAY = 6, 20, 200  # the defaults of the settings
PAUSE = 20.0  # seconds between two rounds


class Seen(NamedTuple):
    """Rounds, notes of people, runs by author, and what exceeds what."""

    rounds: int
    human_notes: int
    runs: dict[str, int]
    wrong: tuple[str, ...]


class Talk:
    """A thread in which everybody answers everybody."""

    def __init__(self, **environment: str) -> None:
        self.gitlab, self.records, self.clock = fakes.GitLab(), fakes.Records(), fakes.Clock()
        self.gitlab.users = {
            number: User(number, name, bot=number != HUMAN, state="active")
            for number, name in NAMES.items()
        }
        self.gitlab.members = {
            (7, number): Member(number, 40, "active", "active", None) for number in NAMES
        }
        self.environment = environment
        self.notes = 0
        self.runs: list[tuple[int, int, float]] = []  # author, note, when
        self.human: list[int] = []

    def say(self, author: int, text: str) -> list[str]:
        """Write a note; return the replies that came of it."""
        self.notes += 1
        if author == HUMAN:
            self.human.append(self.notes)
        payload: dict[str, Any] = fakes.payload(text, id=self.notes, author_id=author)
        payload["user"] = {"id": author, "username": NAMES[author]}
        before, started = len(self.gitlab.replies), len(self.gitlab.triggered)
        # GitLab delivers twice: by the project's hook and by the group's.
        for _ in range(2):
            _, runs = journeys.received(payload, self.clock, None, **self.environment)
            for run in runs:
                journeys.carry(run, self.gitlab, self.clock, self.records, **self.environment)
        self.runs += [(author, self.notes, self.clock())] * (len(self.gitlab.triggered) - started)
        return list(self.gitlab.replies[before:])

    def round(self, number: int) -> None:
        """Let a person ask now and then, bots answer all they hear, and our job mention them."""
        self.clock.time += PAUSE
        replies = (
            self.say(HUMAN, f"@claude please, @renovate @triage {number}")
            if number % 40 == 0
            else []
        )
        heard = self.say(FIRST, f"@claude @triage you said {number}") + self.say(
            SECOND, f"@renovate @claude I say {number}"
        )
        for reply in (*replies, *heard):
            self.say(OURS, reply)  # our reply as GitLab delivers it back to us
            self.say(
                OURS, f"Done. @claude @renovate @triage shall I go on? {number}"
            )  # a job whose words were not defused


def run(rounds: int, *, allowed: bool) -> Seen:
    """Play so many rounds; `allowed` puts both bots, and our own, into ALLOWED_BOTS."""
    bots = {"ALLOWED_BOTS": "renovate,triage,claude"} if allowed else {}
    talk = Talk(RUNS_PER_DAY=str(PER_DAY), **bots)
    for number in range(rounds):
        talk.round(number)
    by_author = Counter(NAMES[author] for author, _, _ in talk.runs)
    return Seen(rounds, len(talk.human), dict(by_author), tuple(_wrong(talk, allowed=allowed)))


def _wrong(talk: Talk, *, allowed: bool) -> list[str]:
    found = [
        f"{count} runs for note {note}"
        for note, count in Counter(note for _, note, _ in talk.runs).items()
        if count > 1
    ]
    found += [
        f"a run for ourselves: note {note}" for author, note, _ in talk.runs if author == OURS
    ]
    found += [
        f"a run for a bot: note {note}"
        for author, note, _ in talk.runs
        if author != HUMAN and not allowed
    ]
    for seconds, limit, key in (
        (600, PER_THREAD, "thread"),
        (3600, PER_USER, "user"),
        (86400, PER_DAY, "day"),
    ):
        windows = Counter(
            (int(when // seconds), author if key == "user" else 0) for author, _, when in talk.runs
        )
        found += [
            f"{count} runs per {key} in window {window}"
            for window, count in windows.items()
            if count > limit
        ]
    return found
