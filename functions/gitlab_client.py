"""python-gitlab with our manners: one host, a time limit on every call, no redirects, errors without their text."""

from collections.abc import Iterator
from contextlib import contextmanager

import gitlab
import requests
from urllib3.exceptions import NewConnectionError

from shared.ports import GitLabError

TIMEOUT = (3.05, 10.0)  # seconds to connect and between bytes; the calls of one attempt stay below its lease


def client(url: str, private_token: str | None = None) -> gitlab.Gitlab:
    """Return python-gitlab's client for one GitLab, with or without a token."""
    session = requests.Session()
    session.hooks["response"].append(_raise_for_status)
    # python-gitlab by itself waits for ever, sleeps through 429 and follows redirects: the hook comes first.
    return gitlab.Gitlab(
        url,
        private_token=private_token,
        timeout=TIMEOUT,  # type: ignore[arg-type] # requests takes a limit for each
        keep_base_url=True,
        retry_transient_errors=False,
        session=session,
        user_agent="gitlab-claude-trigger",
    )


def _raise_for_status(response: requests.Response, **_: object) -> None:
    """End every request that is not answered 2xx here, before a redirect is followed or a header is lost."""
    status = response.status_code
    if 200 <= status < 300:  # noqa: PLR2004
        return
    try:
        answer = response.json()
    except ValueError:
        answer = None
    message = answer.get("message", answer.get("error", "")) if isinstance(answer, dict) else ""
    after = response.headers.get("Retry-After", "")
    unsure = status >= 500 and response.request.method != "GET"  # noqa: PLR2004
    raise GitLabError(status, str(message), after=float(after) if after.isdecimal() else 0.0, unsure=unsure)


@contextmanager
def translated(*, writes: bool = False) -> Iterator[None]:
    """Turn the client's errors into a GitLabError without their text: that may quote what was sent."""
    try:
        yield
    except (requests.ConnectTimeout, requests.exceptions.SSLError):
        raise GitLabError(0) from None
    except requests.RequestException as error:
        never_sent = isinstance(getattr(error.args[0] if error.args else None, "reason", None), NewConnectionError)
        raise GitLabError(0, unsure=writes and not never_sent) from None
    except gitlab.exceptions.GitlabError:  # an answer that is no JSON
        raise GitLabError(0, unsure=writes) from None
