"""Images that the texts of a request name: those that GitLab lets the job's token read.

https://docs.gitlab.com/api/project_markdown_uploads/#download-an-uploaded-file-by-secret-and-filename
(GitLab 17.4, role Guest). Nothing is fetched from anywhere else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from job import left, messages
from job.gitlab import GitLab, GitLabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from job.request import Request

_MOST, _LARGEST = 10, 5_000_000  # images, and bytes of one: the Claude API takes no larger one
_LINK = re.compile(r"([^\s()\[\]\"'<>|]*)/uploads/([0-9a-f]{32})/([^\s()\[\]\"'<>|?#/]+)")
_ELSEWHERE = re.compile(r"!\[[^\]\n]{0,999}\]\(\s*<?(https?://[^\s()<>]{1,999})")
# How each kind of image begins that Claude can look at.
_KINDS = {
    "png": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "jpg": re.compile(rb"\xff\xd8\xff"),
    "gif": re.compile(rb"GIF8[79]a"),
    "webp": re.compile(rb"RIFF....WEBP", re.DOTALL),
}
_NAMED = (".png", ".jpg", ".jpeg", ".gif", ".webp")


class Images(NamedTuple):
    """Each image's link and file name, what the files hold, and the links that were not read."""

    names: Mapping[str, str] = {}
    files: Mapping[str, bytes] = {}
    unread: tuple[str, ...] = ()


def fetch(gitlab: GitLab, request: Request, environment: Mapping[str, str]) -> Images:
    """Return the images that a request's texts name, at most 10 of at most 5 MB each."""
    project = environment.get("CI_PROJECT_ID", "")
    url, path = environment.get("CI_PROJECT_URL", ""), environment.get("CI_PROJECT_PATH", "")
    host = url.removesuffix(f"/{path}") if path else url
    ours = {"", f"/-/project/{project}", f"{host}/-/project/{project}", url, f"/{path}"}
    names: dict[str, str] = {}
    files: dict[str, bytes] = {}
    unread: dict[str, None] = {}
    for text in _texts(request):
        for found in _LINK.finditer(text):
            link, kind, content = found[0], "", b""
            if link in names or link in unread:
                continue
            if found[1] in ours and len(files) < _MOST:
                content = _read(gitlab, found[2], unquote(found[3]))
                kind = next((kind for kind, begins in _KINDS.items() if begins.match(content)), "")
            if kind:
                names[link] = f"image-{len(files) + 1}.{kind}"
                files[names[link]] = content
            else:
                unread[link] = None
        for found in _ELSEWHERE.finditer(text):
            if found[1] not in names:
                unread[found[1]] = None
    return Images(names, files, tuple(unread))


def remark(unread: Iterable[str]) -> str:
    """Return what to tell of links that were not read, as Markdown not yet made harmless."""
    shown = [f"`{unquote(link.rpartition('/')[2])[:100]}`" for link in unread]
    return messages.REMARK_UNREAD.format(files=left.listed(shown))


def _read(gitlab: GitLab, secret: str, name: str) -> bytes:
    if not name.lower().endswith(_NAMED) or "/" in name:
        return b""
    try:
        content = gitlab.download(f"uploads/{secret}/{quote(name, safe='')}", _LARGEST + 1)
    except GitLabError:
        return b""
    return content if len(content) <= _LARGEST else b""


def _texts(request: Request) -> Iterator[str]:
    """Yield the request's texts, the most important first: notes come last, the newest first."""
    yield request.input
    rest = {name: value for name, value in request.context.items() if name != "thread"}
    yield from _strings(rest)
    thread = request.context.get("thread")
    notes = thread.get("notes") if isinstance(thread, dict) else None
    for note in reversed(notes if isinstance(notes, list) else []):
        yield from _strings(note)


def _strings(value: Any) -> Iterator[str]:  # noqa: ANN401  JSON as it comes
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
