"""Who somebody is, and what they may do in a project."""

from http import HTTPStatus

from functions.gitlab.client import BRIEFLY, PAGE, Group, integer
from shared.gitlab.values import GitLabError, Member, User


class People(Group):
    """Users and members."""

    def user(self, user_id: int) -> User | None:
        """`GET /users/:id`: https://docs.gitlab.com/api/users/#retrieve-a-user."""
        user = self._client.find(f"/users/{user_id}")
        if user is None:
            return None
        return User(
            id=integer(user, "id"),
            username=str(user.get("username")),
            bot=user.get("bot") is not False,
            state=str(user.get("state")),
            external=user.get("external") is True,  # shown to administrators only
        )

    def own_id(self) -> int:
        """`GET /user`, once per token: see `Client.own_id`."""
        return self._client.own_id()

    def token_ends(self) -> str:
        """`GET /personal_access_tokens/self`, which tells of every kind of access token.

        https://docs.gitlab.com/api/personal_access_tokens/#retrieve-a-personal-access-token
        """
        return str(self._client.get("/personal_access_tokens/self").get("expires_at") or "")

    def member(self, project_id: int, user_id: int) -> Member | None:
        """`GET /projects/:id/members/all/:user_id`: https://docs.gitlab.com/api/project_members/."""
        try:
            member = self._client.get(f"/projects/{project_id}/members/all/{user_id}")
        except GitLabError as error:
            # A project that our own token cannot see is our fault, not the author's.
            if error.status == HTTPStatus.NOT_FOUND and "Project" not in error.message:
                return None
            raise
        expires = member.get("expires_at")
        return Member(
            user_id=integer(member, "id"),
            access_level=integer(member, "access_level"),
            state=str(member.get("state")),
            # Not every edition sends it.
            membership_state=str(member.get("membership_state", "active")),
            expires_at=expires if expires is None else str(expires),
        )

    def roles(self, project_id: int, user_ids: list[int]) -> dict[int, int]:
        """`GET /projects/:id/members/all?user_ids[]=…`: as `member`, many at once."""
        path = f"/projects/{project_id}/members/all"
        roles: dict[int, int] = {}
        for start in range(0, len(user_ids), PAGE):  # an address has its limits
            query = {"user_ids[]": user_ids[start : start + PAGE]}
            for member in self._client.pages(path, query, timeout=BRIEFLY):
                # One entry for each way of being a member.
                level = integer(member, "access_level") if member.get("state") == "active" else 0
                user_id = integer(member, "id")
                roles[user_id] = max(level, roles.get(user_id, 0))
        return roles
