"""Git over HTTP for the GitLab stand-in: bare repositories; branches follow what is pushed."""

import base64
import gzip
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote

from . import entities
from .records import DEVELOPER, Project
from .routing import Answer, Headers
from .server import Call, GitLab

_JOB_TOKEN_USER = "gitlab-ci-token"
_WHO = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
}
_WHO |= {"GIT_COMMITTER_EMAIL": "ada@example.com", "GIT_CONFIG_GLOBAL": "/dev/null"}


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


# Without compression: the component is half a megabyte, written and read a hundred times.
_CONFIG = """\
[core]
	repositoryformatversion = 0
	bare = true
	compression = 0
[uploadpack]
	allowAnySHA1InWant = true
[receive]
	autogc = false
[fastimport]
	unpackLimit = 0
"""


class GitLabWithGit(GitLab):
    """The stand-in with repositories.

    `job_tokens` may clone and nothing else; API tokens need `write_repository`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.folder = Path(tempfile.mkdtemp(prefix="gitlab-git-"))
        self.job_tokens: set[str] = set()
        self.process_modes: dict[str, str] = {}  # by the resource group's key
        self.uploads: dict[str, bytes] = {}  # by `<secret>/<name>`
        self.updates: list[dict[str, Any]] = []  # what PUT changed in merge requests

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- repositories -----------------------------------------------------------------------------

    def repository(self, project_id: int) -> Path:
        """Return the project's bare repository, made on first use."""
        project = self.projects[project_id]
        path = self.folder / f"{project.path}.git"
        if not path.exists():  # as `git init` makes it, without a process and a dozen sample hooks
            for folder in ("hooks", "objects", "refs/heads"):
                (path / folder).mkdir(parents=True)
            (path / "HEAD").write_text(f"ref: refs/heads/{project.default_branch}\n")
            (path / "config").write_text(_CONFIG)
        return path

    def delete(self, project_id: int, branch: str) -> None:
        """Delete a branch."""
        path = self.repository(project_id)
        self.git(path, "update-ref", "-d", f"refs/heads/{branch}")
        self._follow(self.projects[project_id])

    def commit(
        self, project_id: int, branch: str, files: Mapping[str, str | None], parent: str = ""
    ) -> str:
        """Put files (None: remove; a text that begins with `link:`: a symbolic link) on a branch;
        return the commit.
        """
        path = self.repository(project_id)
        parent = parent or (branch if self._exists(path, branch) else "")
        head = path / "refs" / "heads" / parent
        known = head.read_text().strip() if parent and head.is_file() else parent
        when, message = f"{int(time.time())} +0000", f"Change {', '.join(files)}\n"
        made = [f"commit refs/heads/{branch}", f"committer Ada <ada@example.com> {when}"]
        made += [_data(message), *([f"from {known}"] if known else [])]
        for name, text in files.items():
            mode = "120000" if (text or "").startswith("link:") else "100644"
            body = _data((text or "").removeprefix("link:"))
            made.append(f"D {name}" if text is None else f"M {mode} inline {name}\n{body}")
        # One process: with one for each file, repositories took longer than what is tested in them.
        self.git(path, "fast-import", "--quiet", "--force", given="\n".join([*made, ""]))
        self._follow(self.projects[project_id])
        return self.projects[project_id].branches[branch]

    def show(self, project_id: int, revision: str) -> str:
        """Return what `git show` says, without colour."""
        return self.git(self.repository(project_id), "show", revision)

    def head(self, project_id: int, branch: str) -> str:
        """Return a branch's commit."""
        return (self.repository(project_id) / "refs" / "heads" / branch).read_text().strip()

    @staticmethod
    def git(path: Path, *arguments: str, given: str = "", **variables: str) -> str:
        """Run git in a repository and return its output."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(path), **_WHO, **variables}
        done = subprocess.run(
            ["git", *arguments],
            cwd=path,
            env=environment,
            input=given,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return done.stdout.strip()

    def _exists(self, path: Path, branch: str) -> bool:
        return (path / "refs" / "heads" / branch).is_file()

    def _follow(self, project: Project) -> None:
        """Bring branches and merge requests to what the repository holds."""
        heads = self.repository(project.id) / "refs" / "heads"  # nothing here packs them
        found = (each for each in heads.rglob("*") if each.is_file() and each.suffix != ".lock")
        branches = {str(each.relative_to(heads)): each.read_text().strip() for each in found}
        with self.lock:
            project.branches = branches
            for (project_id, _), record in self.merge_requests.items():
                if (
                    project_id == project.id
                    and record["state"] == "opened"
                    and record["source_branch"] in project.branches
                ):
                    record["sha"] = project.branches[record["source_branch"]]

    # --- HTTP -------------------------------------------------------------------------------------

    def _act(self, call: Call, problem: Answer | None, body: bytes) -> tuple[int, Headers, bytes]:
        _, uploads, name = call.path.partition("/uploads/")
        if uploads and call.method == "GET" and unquote(name) in self.uploads:
            return 200, (), self.uploads[unquote(name)]
        return super()._act(call, problem, body)

    def outside_api(self, call: Call, body: bytes) -> tuple[int, Headers, bytes]:
        """Serve `/<path>.git/…`: https://git-scm.com/docs/gitprotocol-http."""
        name, git, rest = call.path.partition(".git/")
        project = self.find_project(name.strip("/")) if git else None
        service = call.query.get("service", "") if rest == "info/refs" else rest
        if project is None or service not in ("git-upload-pack", "git-receive-pack"):
            return super().outside_api(call, body)
        writes = service == "git-receive-pack"
        if not self._may(call.headers, project, writes=writes):
            return (
                401,
                (("WWW-Authenticate", 'Basic realm="GitLab"'),),
                b"HTTP Basic: Access denied",
            )
        sent = self._backend(call, project, service, body)
        if writes:
            self._follow(project)
        return sent

    def _may(self, headers: Mapping[str, str], project: Project, *, writes: bool) -> bool:
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        user, _, token = base64.b64decode(encoded).decode("utf-8", "replace").partition(":")
        if user == _JOB_TOKEN_USER:
            return token in self.job_tokens and not writes
        owner, scopes = self.api_tokens.get(token, (0, frozenset()))
        return "write_repository" in scopes and (
            not writes or self.level(project.id, owner) >= DEVELOPER
        )

    def _backend(
        self, call: Call, project: Project, service: str, body: bytes
    ) -> tuple[int, Headers, bytes]:
        """Do what `git http-backend` does, with one process less for each request."""
        asks = call.path.endswith("/info/refs")
        about = ["--advertise-refs"] if asks else []
        protocol = call.headers.get("git-protocol", "")
        done = subprocess.run(
            ["git", service.removeprefix("git-"), "--stateless-rpc", *about, "."],
            cwd=self.repository(project.id),
            env={
                "PATH": os.environ["PATH"],
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_PROTOCOL": protocol,
            },
            input=gzip.decompress(body) if "content-encoding" in call.headers else body,
            capture_output=True,
            check=False,
        )
        kind = f"application/x-{service}-{'advertisement' if asks else 'result'}"
        line = f"# service={service}\n"
        first = f"{len(line) + 4:04x}{line}0000" if asks and "version=2" not in protocol else ""
        return 200, (("Content-Type", kind),), first.encode() + done.stdout

    # --- what the REST part does not have yet -----------------------------------------------------

    def _endpoint(self, call: Call) -> Answer:
        """`PUT merge_requests/:iid` for title and description, as a Developer may; a branch; a
        resource group's mode.
        """
        parts = call.path.removeprefix("/api/v4/projects/").split("/")
        if call.method == "GET" and parts[1:3] == ["repository", "branches"] and len(parts) == 4:
            project, name = self.projects[int(parts[0])], unquote(parts[3])
            found = name in project.branches
            told = {"name": name, "protected": name in project.protected}
            return Answer(200 if found else 404, told if found else {"message": "404"})
        if call.method == "PUT" and parts[1] == "resource_groups":
            self.process_modes[parts[2]] = call.json["process_mode"]
            return Answer(200, {})
        if call.method != "PUT" or len(parts) != 3 or parts[1] != "merge_requests":
            return super()._endpoint(call)
        with self.lock:
            record = self.merge_requests[int(parts[0]), int(parts[2])]
            self.updates.append(call.json)
            record |= {
                name: call.json[name] for name in ("title", "description") if name in call.json
            }
            return Answer(200, entities.merge_request(self, record))
