"""Who may start a run: GitLab's answers turned into yes or a reason. It asks nobody.

Anything but a clear yes is no.
"""

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

    `minimum` is an access level of GitLab's, `allowed_bots` user names in lower case, `today` an
    ISO date: a membership ends when its day begins (GitLab removes it that night).

    >>> ada = User(42, "ada", bot=False, state="active")
    >>> guest = Member(42, 10, "active", "active", expires_at=None)
    >>> authorise(ada, guest, minimum=30, allowed_bots=frozenset(), today="2026-02-02")
    Traceback (most recent call last):
    shared.outcome.reasons.Stop: role_too_low: Your role in this project is below the one ...
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
    is_current = member.expires_at is None or member.expires_at > today
    is_active = member.state == "active" and member.membership_state == "active"
    if member.user_id != user.id or not is_active or not is_current:
        raise Stop(Reason.MEMBERSHIP_INACTIVE)
    if member.access_level < minimum:
        raise Stop(Reason.ROLE_TOO_LOW)
