"""Run Claude Code once: fixed arguments, a chosen environment, hard limits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Callable, NamedTuple

from job import refusals, skills
from job.failures import Failure, Reason
from job.inputs import READING, TOOLS
from job.progress import spent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from job.identity import Identity
    from job.inputs import Inputs

# What passes from the job's environment to Claude, besides what signs it in and the names in the
# input `environment`.
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ",
    "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
    "USE_BUILTIN_RIPGREP", "API_TIMEOUT_MS", "CLAUDE_CODE_MAX_OUTPUT_TOKENS",
    "CLAUDE_CODE_MAX_RETRIES", "MAX_THINKING_TOKENS", "ANTHROPIC_DEFAULT_HAIKU_MODEL",
)  # fmt: skip
_FIXED = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_ENABLE_TASKS": "0",  # the to-do list as one tool, which the reply shows
    "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",  # no `@file`, even if prompt.as_data let one through
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",  # the system prompt has the default branch's CLAUDE.md
    "CLAUDE_CODE_DISABLE_GIT_INSTRUCTIONS": "1",  # no commit messages of strangers in the prompt
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "DISABLE_AUTOUPDATER": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)  # the second by way of a shell
_READ = 4000  # characters of what is said of an error
_GRACE = 3.0  # seconds from SIGTERM to SIGKILL; GitLab's runner gives the whole job 10
# Seconds in which the job hears of a stop too, where a runner tells the processes one by one:
# https://gitlab.com/gitlab-org/gitlab-runner/-/merge_requests/4446
_HEARD = 2.0
_TERMINATED = (-signal.SIGTERM, 128 + signal.SIGTERM)  # exit codes


class Result(NamedTuple):
    """What a run of Claude ended with; `failure` is None if it finished.

    `cost` is in US dollars, None where Claude Code ended without a word; `denied` counts the
    refused calls of each tool. Which models answered, and which `version` of Claude Code asked
    them, is what that says; so is how `commands` ended. `structured` is what was asked for by a
    schema, if Claude gave it; its `summary` is the answer.
    """

    answer: str
    turns: int
    cost: float | None
    denied: Mapping[str, int]
    session: str
    failure: Failure | None
    models: tuple[str, ...] = ()
    version: str = ""
    commands: Mapping[str, str] = {}
    structured: Mapping[str, Any] | None = None


class Run(NamedTuple):
    """Where Claude runs and what it is given; `deadline` is in seconds from its start.

    `extra` is a second folder to read, `system` the file with our part of the system prompt,
    `mcp` the configuration of an MCP server, `resume` the session to go on with, `schema` the form
    of the answer; `identity` is who it runs as, None being the job's own user; `skills` are names.
    """

    program: str
    folder: Path
    home: Path
    extra: Path
    system: Path
    message: str
    sign_in: Mapping[str, str]
    deadline: float
    mcp: Path | None = None
    mcp_tools: tuple[str, ...] = ()
    resume: str = ""
    schema: str = ""
    identity: Identity | None = None
    skills: tuple[str, ...] = ()
    read_only: bool = False


def arguments(run: Run, inputs: Inputs) -> list[str]:
    """Return the command line. Nothing in it comes from a comment: that goes to standard input."""
    commands = any(tool.startswith("Bash(") for tool in inputs.allowed_tools)
    named = [tool for tool in inputs.allowed_tools if not tool.startswith(("Bash(", "mcp__"))]
    own = [*(["Bash"] if commands else []), *([skills.TOOL] if run.skills else [])]
    own += [tool.partition("(")[0] for tool in named]
    command = [
        run.program, "--print",
        "--output-format", "stream-json", "--verbose",
        "--permission-mode", "default" if run.read_only else "acceptEdits",
        "--setting-sources", "user",
        "--strict-mcp-config",
        "--max-turns", str(inputs.max_turns),
        "--max-budget-usd", f"{inputs.max_budget_usd:g}",
        "--add-dir", str(run.extra),
        "--append-system-prompt-file", str(run.system),
        "--tools", ",".join(dict.fromkeys((*(READING if run.read_only else TOOLS), *own))),
    ]  # fmt: skip
    given = {
        "--fallback-model": inputs.fallback_model,
        "--settings": skills.SETTINGS if run.skills else "",
        "--mcp-config": run.mcp,
        "--resume": run.resume,
        "--json-schema": run.schema,
    }
    for option, value in given.items():
        command += [option, str(value)] if value else []
    team = [f"{skills.TOOL}({name})" for name in run.skills]
    allowed = [*inputs.allowed_tools, *run.mcp_tools, *team]
    if allowed:  # at the end: it takes every argument that follows
        command += ["--allowedTools", *allowed]
    return command


def variables(run: Run, inputs: Inputs, environment: Mapping[str, str]) -> dict[str, str]:
    """Return Claude's whole environment: no token of GitLab's, no variable that nobody named."""
    names = (*PASSED_ON, *inputs.environment)
    return {
        "CLAUDE_CODE_MAX_RETRIES": "3",
        **{name: environment[name] for name in names if name in environment},
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
        self.running = False

    def stop(self, why: Failure) -> None:
        """End the run and what it started; of several reasons the first is told."""
        self._stopped = self._stopped or why
        self._signal(signal.SIGTERM)
        after = threading.Timer(_GRACE, self._signal, [signal.SIGKILL])
        after.daemon = True
        after.start()

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        run: Run,
        inputs: Inputs,
        on_event: Callable[[Mapping[str, Any]], None],
        on_line: Callable[[str], None],
        stderr: IO[bytes],
    ) -> Result:
        """Run to the end or the deadline; each event goes to `on_event`, each line to `on_line`."""
        self.running = True
        try:
            process = self._start(command, environment, run, stderr)
            last, code = self._listen(process, run, inputs, on_event, on_line)
            heard = time.monotonic() + _HEARD
            while code in _TERMINATED and not self._stopped and time.monotonic() < heard:
                time.sleep(0.05)
            return self._result(last, code, inputs)
        finally:
            self.running = False

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], run: Run, stderr: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        if run.identity:
            run.identity.give(run.folder, run.home.parent)
            command = run.identity.command(*command)
        process = self._process = subprocess.Popen(
            list(command),
            cwd=run.folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
        if self._stopped:  # canceled in the moment between
            self._signal(signal.SIGTERM)
        return process

    def _listen(
        self,
        process: subprocess.Popen[bytes],
        run: Run,
        inputs: Inputs,
        on_event: Callable[[Mapping[str, Any]], None],
        on_line: Callable[[str], None],
    ) -> tuple[Mapping[str, Any], int]:
        """Return the event with the result, and the exit code; nothing runs on."""
        late = Failure(Reason.TIME_LIMIT, limit=f"{inputs.timeout_minutes:g}")
        timer = threading.Timer(max(run.deadline, 0.0), self.stop, [late])
        feeder = threading.Thread(target=_feed, args=(process.stdin, run.message))
        for thread in (timer, feeder):
            thread.daemon = True
            thread.start()
        last: Mapping[str, Any] = {}
        try:
            assert process.stdout  # noqa: S101  it is a pipe
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace")
                on_line(line)
                event = _event(line)
                if event.get("type") == "result":
                    last = event
                on_event(event)
            code = process.wait()
        finally:
            timer.cancel()
            self._signal(signal.SIGKILL)  # whatever it left running
            process.wait()
            self._process = None  # its number may become another's
            if run.identity:
                run.identity.end(run.folder, run.home)
            feeder.join()
            for pipe in (process.stdin, process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]
        return last, code

    def _signal(self, number: int) -> None:
        process = self._process
        if process is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    def _result(self, last: Mapping[str, Any], code: int, inputs: Inputs) -> Result:
        denials = last.get("permission_denials") or []
        names = [str(each.get("tool_name")) for each in denials if isinstance(each, dict)]
        failure = self._stopped or _failure(last, code, inputs)
        if code in _TERMINATED and not self._stopped:
            failure = Failure(Reason.CANCELED)  # who else would end it so?
        structured = None if failure else last.get("structured_output")
        structured = structured if isinstance(structured, dict) else None
        said = structured.get("summary") if structured else last.get("result")
        return Result(
            answer="" if failure else str(said or ""),
            turns=int(last.get("num_turns") or 0),
            cost=spent(last.get("total_cost_usd")),
            denied=dict(Counter(names)),
            session=str(last.get("session_id") or ""),
            failure=failure,
            structured=structured,
        )


def _failure(last: Mapping[str, Any], code: int, inputs: Inputs) -> Failure | None:
    """Judge by exit code and `is_error`: `subtype` says success for an API error too."""
    if not last:
        reason = Reason.CLAUDE_KILLED if code in _KILLED else Reason.CLAUDE_FAILED
        return Failure(reason, status=code)
    if code == 0 and last.get("is_error") is False:
        return None
    if last.get("subtype") == "error_max_turns":
        return Failure(Reason.MAX_TURNS, limit=inputs.max_turns)
    if last.get("subtype") == "error_max_budget_usd":
        return Failure(Reason.MAX_BUDGET, limit=f"{inputs.max_budget_usd:g}")
    told = [last.get("result"), *(last.get("errors") or [])] if last.get("is_error") else []
    said = " ".join(str(each) for each in told if each)[:_READ]
    return refusals.call(last.get("api_error_status"), said, inputs.provider, code)


def _feed(pipe: IO[bytes] | None, message: str) -> None:
    assert pipe  # noqa: S101  it is a pipe
    with suppress(OSError):  # Claude may end before it has read
        pipe.write(message.encode("utf-8", "replace"))
        pipe.close()


def _event(line: str) -> Mapping[str, Any]:
    with suppress(ValueError, RecursionError):
        event = json.loads(line)
        return event if isinstance(event, dict) else {}
    return {}
