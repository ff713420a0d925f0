"""A GitLab MCP server for Claude, off by default: a pinned server with a read-only token."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from job import messages
from job.failures import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Callable

    from job.claude import Run
    from job.inputs import Inputs

TOKEN = "GITLAB_MCP_TOKEN"  # noqa: S105  the variable's name
PACKAGE, VERSION = "@zereight/mcp-gitlab", "2.1.64"

# Tools that read. Whatever else the servers offer is refused.
_GLAB = (
    "glab_issue_view", "glab_issue_list", "glab_mr_view", "glab_mr_list", "glab_mr_diff",
    "glab_ci_status",
)  # fmt: skip
_ZEREIGHT = (
    "get_issue", "list_issues", "list_issue_discussions", "list_issue_links", "list_labels",
    "get_merge_request", "list_merge_requests", "get_merge_request_diffs",
    "get_merge_request_file_diff", "mr_discussions", "list_merge_request_pipelines",
    "get_file_contents", "get_repository_tree", "list_commits", "get_commit", "get_commit_diff",
)  # fmt: skip


class Server(NamedTuple):
    """The configuration file Claude reads, and which of the server's tools it may use."""

    config: Path
    tools: tuple[str, ...]


def given(
    run: Run,
    folder: Path,
    inputs: Inputs,
    environment: Mapping[str, str],
    install: Callable[[str, str], Path],
) -> Run:
    """Let Claude have the server where the input `mcp` says so; raise Failure as `server` does."""
    if inputs.mcp == "none":
        return run
    made = server(environment, folder, install)
    return run._replace(mcp=made.config, mcp_tools=made.tools)


def server(
    environment: Mapping[str, str], private: Path, install: Callable[[str, str], Path]
) -> Server:
    """Write the configuration: `glab mcp serve` if the image has it, else an npm package.

    `install` returns the folder of an npm package in a version. Raise Failure without a token.
    """
    token = environment.get(TOKEN, "")
    if not token:
        raise Failure(Reason.VARIABLE_MISSING, name=TOKEN, purpose=messages.NO_MCP_TOKEN)
    glab = shutil.which("glab", path=environment.get("PATH"))
    names: tuple[str, ...]
    if glab and _serves(glab, environment):
        command, names = [glab, "mcp", "serve"], _GLAB
        variables = {
            "GITLAB_TOKEN": token,
            "GITLAB_HOST": environment.get("CI_SERVER_URL", ""),
            "NO_PROMPT": "1",
        }
    else:
        program = install(PACKAGE, VERSION) / "node_modules" / PACKAGE / "build" / "index.js"
        command, names = ["node", str(program)], _ZEREIGHT
        project = environment.get("CI_PROJECT_ID", "")
        variables = {
            "GITLAB_PERSONAL_ACCESS_TOKEN": token,
            "GITLAB_API_URL": environment.get("CI_API_V4_URL", ""),
            "GITLAB_ALLOWED_PROJECT_IDS": project,
            "GITLAB_PROJECT_ID": project,
            "GITLAB_PERMISSION_MODE": "readonly",
            "GITLAB_DISABLE_VERSION_CHECK": "true",
        }
    entry = {"type": "stdio", "command": command[0], "args": command[1:], "env": variables}
    config = private / "mcp.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"mcpServers": {"gitlab": entry}}), encoding="utf-8")
    return Server(config, tuple(f"mcp__gitlab__{name}" for name in names))


def _serves(glab: str, environment: Mapping[str, str]) -> bool:
    """Tell whether this glab has `mcp serve` (1.69.0 and later)."""
    done = subprocess.run(
        [glab, "mcp", "serve", "--help"],
        env={"PATH": environment.get("PATH", "")},
        capture_output=True,
        check=False,
    )
    return done.returncode == 0
