"""Git over HTTP for the GitLab stand-in: bare repositories behind `git http-backend`; branches
follow what is pushed.
"""

import base64
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from functools import cache
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
[http]
	receivepack = true
[uploadpack]
	allowAnySHA1InWant = true
[core]
	compression = 0
[receive]
	autogc = false
[fastimport]
	unpackLimit = 0
"""


@cache
def _backend() -> str:
    """Return what `git http-backend` would start."""
    done = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    return f"{done.stdout.strip()}/git-http-backend"


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
        if not path.exists():
            (path / "hooks").mkdir(parents=True)  # without the samples of git's template
            branch = project.default_branch
            self.git(path, "init", "-q", "--bare", "--template=", "-b", branch, ".")
            with (path / "config").open("a") as config:
                config.write(_CONFIG)
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
        heads = self.repository(project.id) / "refs" / "heads"  # nothing packs them
        branches = {
            str(path.relative_to(heads)): path.read_text().strip()
            for path in heads.rglob("*")
            if path.is_file() and path.suffix != ".lock"
        }
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
        """Serve `/<path>.git/…` with `git http-backend`."""
        name, git, rest = call.path.partition(".git/")
        project = self.find_project(name.strip("/")) if git else None
        if project is None:
            return super().outside_api(call, body)
        writes = "git-receive-pack" in (rest, call.query.get("service"))
        if not self._may(call.headers, project, writes=writes):
            return (
                401,
                (("WWW-Authenticate", 'Basic realm="GitLab"'),),
                b"HTTP Basic: Access denied",
            )
        sent = self._backend(call, f"/{project.path}.git/{rest}", body)
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

    def _backend(self, call: Call, path: str, body: bytes) -> tuple[int, Headers, bytes]:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "PATH_INFO": path,
            "REQUEST_METHOD": call.method,
            "QUERY_STRING": f"service={call.query['service']}" if "service" in call.query else "",
            "CONTENT_TYPE": call.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": call.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": call.headers.get("git-protocol", ""),
            "REMOTE_USER": "oauth2",
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            [_backend()], env=environment, input=body, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.decode("latin-1").partition(": ") for line in head.split(b"\r\n") if line]
        status = next(
            (int(value.split()[0]) for name, _, value in headers if name == "Status"), 200
        )
        return (
            status,
            tuple((name, value) for name, _, value in headers if name != "Status"),
            content,
        )

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
