import itertools

import pytest

from shared.gitlab.values import Member, User
from shared.installation.readers import ROLES
from shared.outcome.reasons import Reason, Stop
from shared.runs.access import authorise

USER = User(42, "ada", bot=False, state="active")
MEMBER = Member(42, 30, "active", "active", None)


def verdict(
    user: User | None, member: Member | None, minimum: int = 30, bots: frozenset[str] = frozenset()
) -> Reason | None:
    try:
        authorise(user, member, minimum=minimum, allowed_bots=bots, today="2026-11-23")
    except Stop as stop:
        return stop.reason
    return None


def test_a_developer_may() -> None:
    assert verdict(USER, MEMBER) is None


@pytest.mark.parametrize(("name", "minimum"), ROLES.items())
@pytest.mark.parametrize("level", [0, 5, 10, 15, 20, 25, 30, 40, 50, 60])
def test_the_role_counts_by_its_number(name: str, minimum: int, level: int) -> None:
    refused = verdict(USER, MEMBER._replace(access_level=level), minimum)
    assert (refused is None) == (level >= minimum), name


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        (None, Reason.NOT_A_MEMBER),
        (MEMBER._replace(user_id=43), Reason.MEMBERSHIP_INACTIVE),
        (MEMBER._replace(state="blocked"), Reason.MEMBERSHIP_INACTIVE),
        (MEMBER._replace(membership_state="awaiting"), Reason.MEMBERSHIP_INACTIVE),
        (MEMBER._replace(expires_at="2026-11-23"), Reason.MEMBERSHIP_INACTIVE),
        (MEMBER._replace(expires_at="2020-01-01"), Reason.MEMBERSHIP_INACTIVE),
        (MEMBER._replace(expires_at=""), Reason.MEMBERSHIP_INACTIVE),
        (MEMBER._replace(access_level=20), Reason.ROLE_TOO_LOW),
    ],
)
def test_a_membership_that_is_not_in_order_is_refused(
    member: Member | None, reason: Reason
) -> None:
    assert verdict(USER, member) is reason


def test_a_user_that_is_gone_is_refused() -> None:
    assert verdict(None, MEMBER) is Reason.NOT_A_MEMBER


def test_a_membership_that_ends_tomorrow_counts() -> None:
    assert verdict(USER, MEMBER._replace(expires_at="2026-11-24")) is None


@pytest.mark.parametrize(
    "state",
    ["blocked", "deactivated", "banned", "ldap_blocked", "blocked_pending_approval", "", "None"],
)
def test_an_account_that_is_not_active_is_refused(state: str) -> None:
    assert verdict(USER._replace(state=state), MEMBER) is Reason.USER_NOT_ACTIVE


def test_an_external_user_is_refused() -> None:
    assert verdict(USER._replace(external=True), MEMBER) is Reason.EXTERNAL_USER


def test_a_bot_is_ignored_unless_it_is_named() -> None:
    bot = User(42, "Renovate-Bot", bot=True, state="active")
    assert verdict(bot, MEMBER) is Reason.BOT_AUTHOR
    assert verdict(bot, MEMBER, bots=frozenset({"renovate-bot"})) is None
    assert verdict(bot, None, bots=frozenset({"renovate-bot"})) is Reason.NOT_A_MEMBER


def test_a_human_whose_name_sounds_like_a_bot_may() -> None:
    assert verdict(USER._replace(username="project_1_bot_abbot-smith"), MEMBER) is None


def test_every_combination_without_a_clear_yes_is_refused() -> None:
    states, levels = ("active", "blocked"), (20, 30)
    for bot, user_state, state, membership, expired, level in itertools.product(
        (False, True), states, states, ("active", "awaiting"), (None, "2026-01-01"), levels
    ):
        yes = (bot, user_state, state, membership, expired, level) == (
            False,
            "active",
            "active",
            "active",
            None,
            30,
        )
        user, member = (
            User(42, "ada", bot=bot, state=user_state),
            Member(42, level, state, membership, expired),
        )
        assert (verdict(user, member) is None) == yes
