"""Who reads what a run leaves, and so what may stand in it: the one place that decides it.

Asked internally is what was asked in an internal note or about a confidential issue. Its readers:

| output | readers | may hold what was asked internally |
|---|---|---|
| the reply | those of the question | everything |
| artifacts | Developers (`access: developer` in the component) | everything |
| the job's log | in a public project everybody | names of steps |
| branch, commit, merge request | whoever may read the project's code | changes, if `pushes` |
| the CI cache | each later run, also those asked in public | nothing |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.inputs import Inputs
    from job.request import Request


class Audience(NamedTuple):
    """`internal`: asked internally; `private`: only members read the code; `push`: the include's.

    A project that is not private shows its code to people whom it does not show the question.
    """

    internal: bool = False
    private: bool = False
    push: bool = False

    @property
    def all_words(self) -> bool:
        """Whether log, commit and merge request may hold Claude's words, and tools' arguments."""
        return not self.internal

    @property
    def keeps_session(self) -> bool:
        """Whether the conversation may be taken up from the CI cache, and kept there.

        The cache's key cannot know how the next request is asked.
        """
        return not self.internal

    @property
    def pushes(self) -> bool:
        """Whether changes may be pushed; else they are an artifact, for Developers."""
        return not self.internal or self.private or self.push

    @property
    def names(self) -> bool:
        """Whether branch, commit and merge request may name the issue and the person who asked."""
        return not self.internal or self.private

    def shown(self, request: Request) -> Request:
        """Return the request as branch, commit and merge request may name it."""
        if self.names:
            return request
        return request._replace(kind="", iid=0, author="", author_id=0)


def of(request: Request, inputs: Inputs, environment: Mapping[str, str]) -> Audience:
    """Return the audience of a request.

    CI_PROJECT_VISIBILITY is internal, private or public; without it the project counts as public:
    https://docs.gitlab.com/ci/variables/predefined_variables/
    """
    return Audience(
        internal=request.internal,
        private=environment.get("CI_PROJECT_VISIBILITY") == "private",
        push=inputs.confidential_changes == "push",
    )
