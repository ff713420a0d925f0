"""Whether the job's token is guarded, and no stronger than the job needs: the log warns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from job import messages
from job.gitlab import GitLab, GitLabError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from job.inputs import Inputs
    from job.job_log import Log

_DEVELOPER = 30  # https://docs.gitlab.com/api/access_requests/#valid-access-levels


def warn(
    gitlab: GitLab,
    user: Mapping[str, object],
    inputs: Inputs,
    environment: Mapping[str, str],
    log: Log,
) -> None:
    """Write what is wrong with the token, or with where it is kept, into the log."""
    for line in warnings(gitlab, user, inputs, environment):
        log.line(line)


def warnings(
    gitlab: GitLab, user: Mapping[str, object], inputs: Inputs, environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield a sentence for each thing that is wrong with the token or where it is kept.

    `user` is GitLab's answer about the token's user. Sources:
    https://docs.gitlab.com/ci/variables/predefined_variables/ (CI_COMMIT_REF_PROTECTED) and
    https://docs.gitlab.com/api/project_members/ (members/all includes inherited rights).
    """
    if environment.get("CI_COMMIT_REF_PROTECTED") == "false":
        yield messages.OPEN_TO_BRANCHES.format(name=inputs.token_variable)
    try:
        member = gitlab.get(f"members/all/{user.get('id')}")
    except GitLabError:
        return  # what cannot be seen is not judged
    level = member.get("access_level") if isinstance(member, dict) else None
    if isinstance(level, int) and level > _DEVELOPER and not inputs.reply_author:
        yield messages.ABOVE_DEVELOPER.format(name=inputs.token_variable)
