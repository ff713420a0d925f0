"""Who may see what: users, projects, memberships, GitLab's rules as far as we meet them."""

from .records import OWNER, PLANNER, REPORTER, Project, Record, User


class Rights:
    """The three tables that decide, and the questions one may ask of them."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self.users: dict[int, User] = {}
        self.projects: dict[int, Project] = {}
        self.members: dict[tuple[int, int], Record] = {}

    def find_project(self, name: str) -> Project | None:
        """Find by id or, if the name has a slash, by path."""
        if name.isdecimal():
            return self.projects.get(int(name))
        same = (
            project for project in self.projects.values() if project.path.lower() == name.lower()
        )
        return next(same, None) if "/" in name else None

    def level(self, project_id: int, user_id: int) -> int:
        """Return the access level that counts: 0 without an active membership or for a user who is
        not active.
        """
        member = self.members.get((project_id, user_id))
        if (
            self.users[user_id].state != "active"
            or member is None
            or member["membership_state"] != "active"
        ):
            return 0
        return int(member["access_level"])

    def can_see(self, user: User, project: Project) -> bool:
        """Tell whether this user may know that the project exists."""
        if project.visibility == "public" or user.admin:
            return True
        return (project.visibility == "internal" and not user.external) or self.level(
            project.id, user.id
        ) > 0

    def can_read(self, user: User, noteable: Record) -> bool:
        """Tell whether this user may read an issue, merge request, commit or snippet of a project
        they can see.
        """
        project = self.projects[noteable["project_id"]]
        level = OWNER if user.admin else self.level(project.id, user.id)
        if noteable["noteable_type"] == "Commit":  # code is for Reporters
            return project.visibility != "private" or level >= REPORTER
        if noteable["noteable_type"] == "Snippet":
            return noteable["visibility"] != "private" or level > 0
        if noteable["noteable_type"] == "MergeRequest":
            return project.visibility != "private" or level >= PLANNER
        return not noteable["confidential"] or level >= PLANNER or noteable["author_id"] == user.id

    def can_read_note(self, user: User, note: Record) -> bool:
        """Tell whether this user may read a note: internal ones are for Planner and above."""
        return (
            not note["internal"] or user.admin or self.level(note["project_id"], user.id) >= PLANNER
        )
