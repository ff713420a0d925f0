"""What the core asks of GitLab, in six groups; `functions/gitlab` does it over HTTP.

Every call has a time limit, follows no redirect, and raises GitLabError.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from shared.gitlab.values import (
    Diff,
    File,
    Hook,
    Job,
    Member,
    Note,
    Pipeline,
    Progress,
    Project,
    Reply,
    SweptNote,
    Target,
    User,
)
from shared.incoming.event import Event
from shared.installation.secrets import Secret


class People(Protocol):
    """Who somebody is, and what they may do in a project."""

    def user(self, user_id: int) -> User | None:
        """Return the user; None when GitLab says there is none."""

    def own_id(self) -> int:
        """Return the id of the user whose API token this installation uses."""

    def token_ends(self) -> str:
        """Return the day on which our API token expires, as ISO 8601 has it; "" if it does not."""

    def member(self, project_id: int, user_id: int) -> Member | None:
        """Return the user's effective membership, inherited ones included.

        None when GitLab says there is none.
        """

    def roles(self, project_id: int, user_ids: list[int]) -> dict[int, int]:
        """Return the access level of each of these users that is a member."""


class Thread(Protocol):
    """What we leave in an event's thread: reactions and replies."""

    def award(self, event: Event, emoji: str) -> int:
        """Put an emoji, such as `eyes`, on what was written; one that is there already is fine.

        Returns the award's id, 0 if not told.
        """

    def withdraw(self, event: Event, emoji: str, award_id: int = 0) -> None:
        """Take our emoji away; one that is not there is fine. Its award's id saves a search."""

    def reply(self, event: Event, body: str) -> int:
        """Answer in the event's discussion, internally where it is internal.

        Returns the note's id, 0 if not told.
        """

    def replied(self, event: Event, mark: str) -> Reply | None:
        """Return our own note in the event's discussion that holds the mark."""

    def read_reply(self, event: Event, note_id: int) -> str | None:
        """Return the text of a note; None when it is gone."""

    def edit_reply(self, event: Event, note_id: int, body: str) -> None:
        """Change a note of ours."""

    def delete_reply(self, event: Event, note_id: int) -> None:
        """Take a note of ours away; one that is gone is fine."""


class Pipelines(Protocol):
    """What becomes of a run in GitLab."""

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        """Start a pipeline with a trigger token and the trigger API's body."""

    def find_pipeline(self, project_id: int, mark: str, since: float) -> Pipeline | None:
        """Return the triggered pipeline that carries the mark: a run's nonce, or its id.

        It looks among those created after `since` (Unix seconds). 403 says that our token may not
        read the variables by which it would be known.
        """

    def progress(
        self, project_id: int, pipeline_id: int, before: Progress | None = None
    ) -> Progress | None:
        """Return where a pipeline stands; None when it is gone.

        `before` is how it stood right before: where it stands so still, its jobs do as well.
        """

    def jobs(self, project_id: int, pipeline_id: int, *, retried: bool = False) -> tuple[Job, ...]:
        """Return a pipeline's jobs; with `retried` also those that were started again."""

    def newest_pipelines(self, project_id: int) -> Iterator[tuple[int, Progress]]:
        """Yield a project's triggered pipelines, newest first, without their jobs."""

    def cancel(self, project_id: int, pipeline_id: int) -> None:
        """Cancel a pipeline; one that has ended is fine. 403 says that our token may not."""


class Surroundings(Protocol):
    """What is read around an event."""

    def note(self, event: Event) -> Note:
        """Return the event's comment."""

    def target(self, event: Event) -> Target:
        """Return the event's issue or merge request."""

    def notes(self, event: Event) -> Iterator[Note]:
        """Yield the comments of the event's issue or merge request, newest first.

        Notes that GitLab itself wrote are left out.
        """

    def discussion(self, event: Event) -> list[int]:
        """Return the ids of the notes of the event's discussion."""

    def diffs(self, event: Event) -> Iterator[Diff]:
        """Yield the changed files of the event's merge request."""

    def file(self, project_id: int, path: str, ref: str) -> File | None:
        """Return a file as it stands on a branch; None where there is none."""

    def parents(self, project_id: int, commit: str) -> tuple[str, ...]:
        """Return the ids of a commit's parents."""

    def open_of_branch(self, project_id: int, branch: str) -> list[int]:
        """Return which of a branch's open merge requests are no drafts, the oldest first.

        Of those of a hundred, which is what one call tells.
        """


class Projects(Protocol):
    """What a sweep looks at."""

    def project(self, project_id: str) -> Project | None:
        """Return a project by its id or path; None when GitLab shows none."""

    def active_projects(self, since: float) -> Iterator[tuple[int, float]]:
        """Yield the ids of our projects where something happened, and when it last did.

        Both times are in Unix seconds. GitLab writes down the first event of an hour, so what
        happens later in that hour does not show.
        """

    def comments(self, project: Project, since: float) -> Iterator[SweptNote]:
        """Yield the comments on issues and merge requests, oldest first.

        They begin with the day of `since` (Unix seconds), or later in it.
        """

    def hooks(self, project_id: int) -> list[Hook]:
        """Return the project's webhooks for what may ask for a run.

        403 says that our token may not see them.
        """

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        """Yield the bodies of a webhook's failed deliveries since `since` (Unix seconds).

        Newest first.
        """


class Changes(Protocol):
    """What a sweep looks for beside comments."""

    def changed_targets(self, project: Project, since: float) -> Iterator[Event]:
        """Yield issues and merge requests that were opened or changed since `since`.

        Each as if it had been opened as it is now; `since` and `at` are in Unix seconds.
        """

    def askings(self, opened: Event, since: float) -> Iterator[Event]:
        """Yield what was asked by one of them since `since`: each label, assignee, reviewer.

        And that it was opened, unless its texts were edited since.
        """


class GitLab(People, Thread, Pipelines, Surroundings, Projects, Changes, Protocol):
    """The one GitLab of the installation."""

    def within(self, seconds: float) -> None:
        """Let the calls of this thread end within so many seconds from now, all together."""
