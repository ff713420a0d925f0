"""Who may start a run: GitLab's answers turned into yes or a reason. It asks nobody; anything but a clear yes is no."""

from collections.abc import Set as AbstractSet
from typing import NamedTuple

from shared.outcome import Reason, Stop

# https://docs.gitlab.com/api/access_requests/#valid-access-levels; below guest nobody may comment.
ROLES = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}


class User(NamedTuple):
    """`GET /users/:id`: the name, whether GitLab calls it a bot, the account's state, and whether it is external."""

    id: int
    username: str
    bot: bool
    state: str
    external: bool = False


class Member(NamedTuple):
    """`GET /projects/:id/members/all/:user_id`: the effective role; `expires_at` is an ISO date or None."""

    user_id: int
    access_level: int
    state: str
    membership_state: str
    expires_at: str | None


def authorise(
    user: User | None,
    member: Member | None,
    *,
    minimum: int,
    allowed_bots: AbstractSet[str],
    today: str,
) -> None:
    """Return when GitLab says yes to every question; raise Stop with the first reason otherwise.

    `today` is an ISO date: a membership ends when its day begins (GitLab removes it that night).
    """
    if user is None:
        raise Stop(Reason.NOT_A_MEMBER)
    if user.bot and user.username.lower() not in allowed_bots:
        raise Stop(Reason.BOT_AUTHOR)
    if user.state != "active":
        raise Stop(Reason.USER_NOT_ACTIVE)
    if user.external:
        raise Stop(Reason.EXTERNAL_USER)
    if member is None:
        raise Stop(Reason.NOT_A_MEMBER)
    expired = member.expires_at is not None and member.expires_at <= today
    if (
        member.user_id != user.id
        or member.state != "active"
        or member.membership_state != "active"
        or expired
    ):
        raise Stop(Reason.MEMBERSHIP_INACTIVE)
    if member.access_level < minimum:
        raise Stop(Reason.ROLE_TOO_LOW)
