"""A GitLab MCP server for Claude, off by default: a kept one, a token that only reads, named tools; it starts none."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from job.outcome import Ending, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Callable

TOKEN = "GITLAB_MCP_TOKEN"  # noqa: S105  the variable's name
PACKAGE, VERSION = "@zereight/mcp-gitlab", "2.1.64"

# Tools that read. Whatever else the servers offer is refused.
_GLAB: tuple[str, ...] = (
    "glab_issue_view",
    "glab_issue_list",
    "glab_mr_view",
    "glab_mr_list",
    "glab_mr_diff",
    "glab_ci_status",
)
_ZEREIGHT: tuple[str, ...] = (
    "get_issue", "list_issues", "list_issue_discussions", "list_issue_links", "list_labels", "get_merge_request",
    "list_merge_requests", "get_merge_request_diffs", "get_merge_request_file_diff", "mr_discussions",
    "list_merge_request_pipelines", "get_file_contents", "get_repository_tree", "list_commits", "get_commit",
    "get_commit_diff",
)  # fmt: skip


class Server(NamedTuple):
    """The configuration file Claude reads and the tools it may use of it."""

    config: Path
    tools: tuple[str, ...]


def server(given: Mapping[str, str], private: Path, install: Callable[[str, str], Path]) -> Server:
    """Write the configuration: `glab mcp serve` where the image has it, else an npm package in a fixed version."""
    token = given.get(TOKEN, "")
    if not token:
        purpose = "the GitLab MCP server has no token of its own (scope read_api)"
        raise Failure(Ending.VARIABLE_MISSING, name=TOKEN, purpose=purpose)
    glab = shutil.which("glab", path=given.get("PATH"))
    if glab and _serves(glab, given):
        command, names = [glab, "mcp", "serve"], _GLAB
        variables = {
            "GITLAB_TOKEN": token,
            "GITLAB_HOST": given.get("CI_SERVER_URL", ""),
            "NO_PROMPT": "1",
        }
    else:
        folder = install(PACKAGE, VERSION)
        command, names = [str(folder / "node_modules" / ".bin" / "mcp-gitlab")], _ZEREIGHT
        variables = {
            "GITLAB_PERSONAL_ACCESS_TOKEN": token,
            "GITLAB_API_URL": given.get("CI_API_V4_URL", ""),
            "GITLAB_ALLOWED_PROJECT_IDS": given.get("CI_PROJECT_ID", ""),
            "GITLAB_PROJECT_ID": given.get("CI_PROJECT_ID", ""),
            "GITLAB_PERMISSION_MODE": "readonly",
            "GITLAB_DISABLE_VERSION_CHECK": "true",
        }
    entry = {"type": "stdio", "command": command[0], "args": command[1:], "env": variables}
    config = private / "mcp.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"mcpServers": {"gitlab": entry}}), encoding="utf-8")
    return Server(config, tuple(f"mcp__gitlab__{name}" for name in names))


def _serves(glab: str, given: Mapping[str, str]) -> bool:
    """Tell whether this glab has `mcp serve` (1.69.0 and later)."""
    done = subprocess.run(
        [glab, "mcp", "serve", "--help"], env={"PATH": given.get("PATH", "")}, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0
