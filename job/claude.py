"""Run Claude Code once: fixed arguments, a chosen environment, hard limits; it reads no request and no GitLab."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections import Counter
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Callable, NamedTuple

from job.outcome import Ending, Failure
from job.settings import TOOLS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from job.settings import Settings

# All that passes from the job's environment to Claude, besides what signs it in and the input `environment`.
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy",
    "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS", "USE_BUILTIN_RIPGREP", "API_TIMEOUT_MS",
    "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_MAX_RETRIES", "MAX_THINKING_TOKENS",
)  # fmt: skip
_FIXED = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_ENABLE_TASKS": "0",  # the to-do list as one tool, which the reply shows
    "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",  # no `@file`: the second lock beside prompt.as_data
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",  # the frame has the default branch's CLAUDE.md
    "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1",  # no commit messages of strangers in the prompt
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
_GRACE = 5.0  # seconds from SIGTERM to SIGKILL
_LONGEST_STDERR = 4000


class Result(NamedTuple):
    """What a run of Claude ended with; `failure` is None where it finished."""

    answer: str
    turns: int
    cost: float
    denied: Mapping[str, int]
    session: str
    failure: Failure | None


class Run(NamedTuple):
    """Where Claude runs and what it is given."""

    program: str
    folder: Path
    home: Path
    extra: Path
    system: Path
    message: str
    sign_in: Mapping[str, str]
    mcp: Path | None
    mcp_tools: tuple[str, ...]
    resume: str
    deadline: float


def arguments(run: Run, settings: Settings) -> list[str]:
    """Return the command line: nothing of it comes from a comment; the prompt goes to standard input."""
    bash = ["Bash"] if any(tool.startswith("Bash(") for tool in settings.allowed_tools) else []
    others = [
        tool.partition("(")[0]
        for tool in settings.allowed_tools
        if not tool.startswith(("Bash(", "mcp__"))
    ]
    allowed = [*settings.allowed_tools, *run.mcp_tools]
    command = [
        run.program, "--print", "--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits",
        "--setting-sources", "user", "--strict-mcp-config", "--max-turns", str(settings.max_turns),
        "--max-budget-usd", f"{settings.max_budget_usd:g}", "--add-dir", str(run.extra),
        "--append-system-prompt-file", str(run.system), "--tools", ",".join(dict.fromkeys([*TOOLS, *bash, *others])),
    ]  # fmt: skip
    if run.mcp:
        command += ["--mcp-config", str(run.mcp)]
    if run.resume:
        command += ["--resume", run.resume]
    # The last one: it takes every argument that follows.
    return [*command, "--allowedTools", *allowed] if allowed else command


def environment(run: Run, settings: Settings, given: Mapping[str, str]) -> dict[str, str]:
    """Return Claude's whole environment: no token of GitLab's, no variable that nobody named."""
    names = (*PASSED_ON, *settings.environment)
    return {
        "CLAUDE_CODE_MAX_RETRIES": "3",
        **{name: given[name] for name in names if name in given},
        **_FIXED,
        **run.sign_in,
        "HOME": str(run.home),
        "TMPDIR": str(run.home),
        "CLAUDE_CONFIG_DIR": str(run.home / ".claude"),
        "IS_SANDBOX": "1",
    }


class Claude:
    """A run of Claude Code that can be stopped from outside."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped: Failure | None = None
        self._ended = threading.Event()

    def stop(self, why: Failure) -> None:
        """End the run, its children too; the first reason is the one told."""
        self._stopped = self._stopped or why
        self._signal(signal.SIGTERM)

    def run(
        self,
        command: Sequence[str],
        variables: Mapping[str, str],
        run: Run,
        settings: Settings,
        on_event: Callable[[Mapping[str, Any]], None],
        on_line: Callable[[str], None],
        stderr: IO[bytes],
    ) -> Result:
        """Run to the end or the deadline; each event goes to `on_event`, each line to `on_line`."""
        limit = Failure(Ending.TIME_LIMIT, limit=f"{settings.timeout_minutes:g}")
        self._process = subprocess.Popen(
            list(command), cwd=run.folder, env=dict(variables), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=stderr, start_new_session=True,
        )  # fmt: skip
        if self._stopped:  # canceled in the moment between
            self._signal(signal.SIGTERM)
        timers = [threading.Timer(max(run.deadline, 0.0), self.stop, [limit])]
        timers.append(
            threading.Timer(max(run.deadline, 0.0) + _GRACE, self._signal, [signal.SIGKILL])
        )
        feeder = threading.Thread(
            target=_feed, args=(self._process.stdin, run.message), daemon=True
        )
        for thread in (*timers, feeder):
            thread.daemon = True
            thread.start()
        last: Mapping[str, Any] = {}
        try:
            assert self._process.stdout  # noqa: S101  it is a pipe
            for raw in self._process.stdout:
                line = raw.decode("utf-8", "replace")
                on_line(line)
                event = _event(line)
                if event.get("type") == "result":
                    last = event
                on_event(event)
            code = self._process.wait()
        finally:
            for timer in timers:
                timer.cancel()
            self._signal(signal.SIGKILL)  # whatever it left running
            self._process.wait()
            feeder.join()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
        return self._result(last, code, settings)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):
                return

    def _result(self, last: Mapping[str, Any], code: int, settings: Settings) -> Result:
        denials = last.get("permission_denials")
        names = [str(each.get("tool_name")) for each in denials or [] if isinstance(each, dict)]
        failure = self._stopped or _failure(last, code, settings)
        return Result(
            answer=str(last.get("result") or "") if not failure else "",
            turns=int(last.get("num_turns") or 0),
            cost=float(last.get("total_cost_usd") or 0.0),
            denied=dict(Counter(names)),
            session=str(last.get("session_id") or ""),
            failure=failure,
        )


def _failure(last: Mapping[str, Any], code: int, settings: Settings) -> Failure | None:
    """Judge by exit code and `is_error`: `subtype` says success for an API error too."""
    if not last:
        return Failure(Ending.CLAUDE_FAILED, status=code)
    if code == 0 and last.get("is_error") is False:
        return None
    if last.get("subtype") == "error_max_turns":
        return Failure(Ending.MAX_TURNS, limit=settings.max_turns)
    if last.get("subtype") == "error_max_budget_usd":
        return Failure(Ending.MAX_BUDGET, limit=f"{settings.max_budget_usd:g}")
    status = last.get("api_error_status")
    if status in (401, 403) or "Not logged in" in str(last.get("result")):
        return Failure(Ending.NOT_SIGNED_IN, provider=settings.provider)
    if status == 404:  # noqa: PLR2004
        return Failure(Ending.MODEL_UNKNOWN)
    if status == 429:  # noqa: PLR2004
        return Failure(Ending.RATE_LIMITED)
    if isinstance(status, int) and status >= 500:  # noqa: PLR2004
        return Failure(Ending.OVERLOADED, status=status)
    if isinstance(status, int):
        return Failure(Ending.API_REFUSED, status=status)
    return Failure(Ending.CLAUDE_FAILED, status=code)


def _feed(pipe: IO[bytes] | None, message: str) -> None:
    assert pipe  # noqa: S101  it is a pipe
    try:
        pipe.write(message.encode("utf-8", "replace"))
        pipe.close()
    except OSError:  # Claude ended before it read
        return


def _event(line: str) -> Mapping[str, Any]:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}
