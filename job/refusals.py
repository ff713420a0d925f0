"""What others' refusals mean: GitLab's of a push, a provider's of the identity token or of a call.

They are read by their words, for one number stands for many causes. Words that nobody knows leave
what the number says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from job import messages
from job.failures import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable

_What = TypeVar("_What")
_QUOTED = 300  # characters of somebody's own words
_TOO_MANY, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 429, 401, 403, 404
_BROKEN, _OVERLOADED = 500, 529

# GitLab's and git's words, of gitlabhq lib/gitlab/checks and git_access.rb and of the documentation
# on push rules, secret push protection and maintenance mode.
_PUSH = (
    (r"stale info|fetch first|non-fast-forward", Reason.PUSHED_MEANWHILE),
    (r"does not follow the pattern|forbidden pattern|prohibited by", Reason.PUSH_RULE),
    (r"commit must be signed", Reason.PUSH_UNSIGNED),
    (r"maintenance mode|read-only|archived", Reason.PUSH_READ_ONLY),
    (r"secrets? detected|secret push protection", Reason.PUSH_SECRET),
    (r"protected branch", Reason.PUSH_PROTECTED),
    (r"larger than|size limit|storage limit|exceed\w* .{0,60}limit|HTTP 413", Reason.PUSH_SIZE),
    (r"not allowed to push code to this project|access denied|HTTP 40[13]", Reason.PUSH_REJECTED),
    (r"(?m)^remote: *(?:GitLab|GL-HOOK-ERR): *\S|hook declined", Reason.PUSH_RULE),
)
_SAID = re.compile(r"^remote: *(?:GitLab|GL-HOOK-ERR): *(\S.*)", re.MULTILINE)

# What Claude Code tells of a call that failed, in its own words or the provider's.
_CALL = (
    (r"credit balance|usage limits|spend\w* limit|insufficient (?:credit|fund)", Reason.NO_CREDIT),
    (r"(?:organization|account) (?:has been|is) (?:disabled|suspended)", Reason.ACCOUNT_DISABLED),
    (r"(?:prompt|input) is too long|context (?:window|length|limit)", Reason.PROMPT_TOO_LONG),
    (r"on-demand throughput", Reason.MODEL_PROFILE),
    (r"has not been used in project|SERVICE_DISABLED", Reason.PROVIDER_OFF),
    (r"unsupported countr", Reason.REGION_NOT_SERVED),
    (
        r"not (?:available|supported|allowed) (?:in|from) .{0,60}(?:region|countr|location)",
        Reason.REGION_NOT_SERVED,
    ),
    (r"access to the model|model access|marketplace|use case details", Reason.MODEL_NOT_ALLOWED),
    (
        r"perform: (?:bedrock|aws-external-anthropic)|aiplatform\.endpoints",
        Reason.MODEL_NOT_ALLOWED,
    ),
    (r"model identifier is invalid|end of its life|model.{0,99}not found", Reason.MODEL_UNKNOWN),
    (r"quota|RESOURCE_EXHAUSTED|tokens per day", Reason.QUOTA),
    (r"overloaded", Reason.OVERLOADED),
    (r"not logged in|invalid_grant|InvalidIdentityToken|security token", Reason.NOT_SIGNED_IN),
    (r"ExpiredToken|UnrecognizedClient|credentials|sts:Assume", Reason.NOT_SIGNED_IN),
    (r"connection error|ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT", Reason.PROVIDER_UNREACHABLE),
    (r"fetch failed|certificate", Reason.PROVIDER_UNREACHABLE),
)
_API_ERROR = "API Error"
_MESSAGE = re.compile(r'"message": ?"([^"\\]+)')
_AFTER_STATUS = re.compile(rf"{_API_ERROR}[^:]*: [0-9]{{3}} (.+)")


def push(said: str, branch: str, token_variable: str) -> Failure:
    """Return why a push was refused; `said` is what git wrote.

    GitLab's own sentence, a push rule's or a hook's, is quoted.
    """
    reason = _first(_PUSH, said) or Reason.PUSH_REJECTED
    words = _quoted(" ".join(_SAID.findall(said))) or messages.HOOK_DECLINED
    return Failure(reason, branch=branch, name=token_variable, words=words)


def exchange(said: str, provider: str) -> Failure:
    """Return why a token service gave no credential.

    `said` begins with the status, or is the name of an error where there was no answer.
    """
    if said.isidentifier():
        return Failure(Reason.PROVIDER_UNREACHABLE)
    status = said[:3]
    if status == str(_TOO_MANY) or re.fullmatch("5[0-9]{2}", status):
        return Failure(Reason.OVERLOADED, status=status)
    why = _first(_exchanges(), said)
    return Failure(Reason.NOT_SIGNED_IN, provider=provider, why=f"{why} " if why else "")


def _exchanges() -> tuple[tuple[str, str], ...]:
    """Return what the words of AWS's, Google's and Anthropic's token services mean.

    Sources: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    https://cloud.google.com/iam/docs/troubleshooting-workload-identity-federation
    Entra names all three of what it compares after the one that does not fit (AADSTS7002xx):
    https://learn.microsoft.com/entra/identity-platform/reference-error-codes
    """
    return (
        (r"presented assertion subject", messages.WHY_TRUST),
        (r"presented assertion issuer", messages.WHY_ISSUER),
        (r"has not been used in project|SERVICE_DISABLED", messages.WHY_API_OFF),
        (r"Invalid value for .{0,3}audience", messages.WHY_POOL),
        (r"audience", messages.WHY_AUDIENCE),
        (r"verification key|connecting to the given credential|jwks|well.known", messages.WHY_KEYS),
        (r"No OpenIDConnect provider|issuer", messages.WHY_ISSUER),
        (r"MaxSessionDuration|DurationSeconds", messages.WHY_DURATION),
        (r"attribute condition|sts:Assume|AccessDenied|subject|rule", messages.WHY_TRUST),
        (
            r"serviceAccounts|PERMISSION_DENIED|Gaia id|does not have permission",
            messages.WHY_BINDING,
        ),
        (r"expired", messages.WHY_EXPIRED),
    )


def call(status: object, said: str, provider: str, code: int) -> Failure:
    """Return why a call of the model failed: the HTTP status if there was one, and what was said.

    `code` is the client's exit code.
    """
    said = said[max(said.find(_API_ERROR), 0) :]  # in front of it the client gives advice
    reason = None if status == _UNAUTHORIZED else _first(_CALL, said)
    if reason is None or (isinstance(status, int) and status >= _BROKEN):
        reason = _by_status(status)
    numbers = {Reason.CLAUDE_FAILED: code, Reason.OVERLOADED: status or _OVERLOADED}
    words = _MESSAGE.search(said) or _AFTER_STATUS.search(said)
    quoted = _quoted(words[1]) if words else ""
    return Failure(
        reason,
        provider=provider,
        why="",
        status=numbers.get(reason, status),
        words=f": {quoted}" if quoted else "",
    )


def _by_status(status: object) -> Reason:
    if not isinstance(status, int):
        return Reason.CLAUDE_FAILED
    if status >= _BROKEN:
        return Reason.OVERLOADED
    known = {
        _UNAUTHORIZED: Reason.NOT_SIGNED_IN,
        _FORBIDDEN: Reason.NOT_SIGNED_IN,
        _NOT_FOUND: Reason.MODEL_UNKNOWN,
        _TOO_MANY: Reason.RATE_LIMITED,
    }
    return known.get(status, Reason.API_REFUSED)


def _first(table: Iterable[tuple[str, _What]], said: str) -> _What | None:
    return next((what for words, what in table if re.search(words, said, re.IGNORECASE)), None)


def _quoted(words: str) -> str:
    """Return somebody's words as code, in which nothing acts."""
    line = " ".join(words.replace("`", "'").split())[:_QUOTED].rstrip(". ")
    return f"`{line}`" if line else ""
