"""Who may start a run: GitLab's answers turned into yes or a reason. It asks nobody; anything but a clear yes is no."""

from collections.abc import Set as AbstractSet

from shared.gitlab.values import Member, User
from shared.outcome.reasons import Reason, Stop


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
