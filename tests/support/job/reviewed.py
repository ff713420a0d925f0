"""A merge request whose files change by rule, and reviews of it by the job's own parts."""

import random
from collections.abc import Mapping
from typing import Any

from job import diff, findings
from job.gitlab import GitLab as Client
from job.review import Review, Seen
from tests.support.gitlab import diffs
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import GitLab

PROJECT, BOT, ADA = 7, 1, 42
TOKEN = "glpat-canary-of-a-review"
Found = dict[str, Any]


def finding(path: str, line: int, **given: Any) -> Found:
    """A finding as Claude gives it."""
    known = {"side": "new", "severity": "major", "text": f"Look at line {line} of {path}."}
    return {"path": path, "line": line, **known, **given}


class Reviewed:
    """Merge request 3 of one project, at one commit after the other."""

    def __init__(self, gitlab: GitLab) -> None:
        """Make users, project and token."""
        self.gitlab, self._pushes = gitlab, 0
        gitlab.user(BOT, "claude", bot=True)
        gitlab.user(ADA, "ada")
        gitlab.project(PROJECT, "group/app")
        gitlab.member(PROJECT, BOT, 30)
        gitlab.member(PROJECT, ADA, 30)
        gitlab.api_token(TOKEN, BOT)
        self.texts: dict[str, str] = {}
        self.record = gitlab.merge_request(PROJECT, 3, source_branch="fix", author_id=ADA)
        self.client = Client(
            f"{gitlab.url}/api/v4", str(PROJECT), TOKEN, masked=str, pause=lambda _: None
        )

    def push(self, files: list[Record], texts: Mapping[str, str]) -> None:
        """Bring the merge request to another commit: its diff, and its files' new texts."""
        self._pushes += 1
        self.texts = dict(texts)
        sha = f"{self._pushes:040x}"
        self.gitlab.push(PROJECT, 3, sha, user_id=ADA, diffs=files)

    def review(self, found: list[Found], not_reviewed: tuple[str, ...] = ()) -> str:
        """Post a review of the commit as it is; return the reply's part."""
        return self.begin(found, not_reviewed).post()

    def begin(
        self, found: list[Found], not_reviewed: tuple[str, ...] = (), told: bytes | None = None
    ) -> Review:
        """Return a review that is still to be posted; `told` is the diff that Claude got."""
        whole = {"findings": found, "not_reviewed": list(not_reviewed)}
        paths = ((file["old_path"], file["new_path"]) for file in self.record["diffs"])
        told = b"\n".join(diff.first_line(*each) for each in paths) if told is None else told
        seen = Seen(3, self.record["sha"], told, self._lines, BOT)
        return Review(self.client, seen, findings.read(whole, str))

    def _lines(self, path: str) -> list[str] | None:
        text = self.texts.get(path)
        return None if text is None else text.removesuffix("\n").split("\n")

    def notes(self) -> list[Record]:
        """What stands on the lines."""
        return [note for note in self.gitlab.notes.values() if note["type"] == "DiffNote"]

    def thread(self, number: int) -> list[Record]:
        """The notes of the discussion that the n-th note on a line began."""
        first = self.notes()[number]
        return [
            note
            for note in self.gitlab.notes.values()
            if note["discussion_id"] == first["discussion_id"]
        ]


def mutated(chance: random.Random, lines: list[str]) -> list[str]:
    """Change, remove and add some lines."""
    changed = list(lines)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        fresh = [f"{begun(chance)}fresh {chance.random()}" for _ in range(chance.randint(0, 3))]
        changed[at : at + chance.randint(0, 2)] = fresh
    return changed


def begun(chance: random.Random) -> str:
    """What a line begins with: seldom what a diff makes look like a file's name or a hunk."""
    odd = ("-- a", "-- ", "++ b", "++ a", "@@ -1 +1 @@", "\\ No", "\f", "\u2028", "\t", " ")
    return chance.choice(odd) if chance.random() < 0.15 else ""


def made(chance: random.Random, number: int) -> tuple[Record, str]:
    """One changed file by rule, and its new text: a move, CRLF, without an end, new, gone, …"""
    path, end = f"src/{number:04}.py", chance.choice(["\n", "\r\n"])
    old = [f"{begun(chance)}line {each} of {number}" for each in range(1, chance.randint(2, 80))]
    before, after = (
        end.join(lines) + (end if lines and chance.random() < 0.8 else "")
        for lines in (old, mutated(chance, old))
    )
    match chance.randrange(8):
        case 0:
            return diffs.change(path, None, after), after
        case 1:
            return diffs.change(path, before, None), ""
        case 2:
            return diffs.change(path, before, after, was=f"old/{number:04}.py"), after
        case 3:
            return diffs.change(path, before, before, was=f"old/{number:04}.py"), before
        case 4:
            binary = "Binary files a/x and b/x differ\n"
            return {"old_path": path, "new_path": path, "diff": binary}, ""
        case _:
            return diffs.change(path, before, after), after
