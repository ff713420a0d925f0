"""Images of a thread: what GitLab hands out is handed on, the rest is named."""

from typing import Any

import pytest

from job import uploads
from job.gitlab import GitLabError
from job.request import Request
from job.uploads import Images

PNG = b"\x89PNG\r\n\x1a\nx"
SECRET = "0123456789abcdef" * 2
ENVIRONMENT = {
    "CI_PROJECT_ID": "7",
    "CI_PROJECT_PATH": "group/app",
    "CI_PROJECT_URL": "https://gitlab.example.com/group/app",
}


class Files:
    """Stands in for GitLab: its uploads by path; `asked` is what was asked for."""

    def __init__(self, **files: bytes) -> None:
        self.files, self.asked = files, list[str]()

    def download(self, path: str, most: int) -> bytes:
        self.asked.append(path)
        name = path.rpartition("/")[2]
        if name not in self.files:
            raise GitLabError(404, "")
        return self.files[name][:most]


def fetched(gitlab: Files, text: str, **context: Any) -> Images:
    request = Request("r", "mention", text, context)
    return uploads.fetch(gitlab, request, ENVIRONMENT)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "/-/project/7",
        "https://gitlab.example.com/-/project/7",
        "https://gitlab.example.com/group/app",
    ],
)
def test_an_image_of_the_project_is_read_however_it_is_linked(prefix: str) -> None:
    gitlab = Files(**{"a%20b.png": PNG})
    link = f"{prefix}/uploads/{SECRET}/a%20b.png"
    found = fetched(gitlab, f"![a b]({link}){{width=10}} and again {link}")
    assert found == Images({link: "image-1.png"}, {"image-1.png": PNG}, ())
    assert gitlab.asked == [f"uploads/{SECRET}/a%20b.png"]


@pytest.mark.parametrize(
    "link",
    [
        f"/-/project/8/uploads/{SECRET}/a.png",
        f"https://elsewhere.example.com/group/app/uploads/{SECRET}/a.png",
        f"/uploads/{SECRET}/a.zip",
        f"/uploads/{SECRET}/..%2Fa.png",
        "https://elsewhere.example.com/a.png",
    ],
)
def test_anything_else_is_named_and_not_asked_for(link: str) -> None:
    gitlab = Files(**{"a.png": PNG})
    assert fetched(gitlab, f"![x]({link})") == Images({}, {}, (link,))
    assert gitlab.asked == []


@pytest.mark.parametrize("content", [b"<svg/>", PNG + b"x" * 5_000_000, b""])
def test_what_is_no_image_or_too_large_or_not_shown_is_named(content: bytes) -> None:
    gitlab = Files(**({"a.png": content} if content else {}))
    assert fetched(gitlab, f"/uploads/{SECRET}/a.png").unread == (f"/uploads/{SECRET}/a.png",)


def test_of_many_the_request_s_own_come_first_and_then_the_newest() -> None:
    gitlab = Files(**{f"{number}.png": PNG for number in range(20)})
    links = [f"/uploads/{SECRET}/{number}.png" for number in range(20)]
    notes = [{"text": link} for link in links[2:]]
    found = fetched(gitlab, links[0], issue={"description": links[1]}, thread={"notes": notes})
    assert list(found.names) == [links[0], links[1], *reversed(links[12:])]
    assert len(found.unread) == 10


@pytest.mark.parametrize(
    ("begins", "kind"),
    [(b"\xff\xd8\xff\xe0", "jpg"), (b"GIF89a", "gif"), (b"RIFFxxxxWEBP", "webp")],
)
def test_a_kind_is_known_by_its_content(begins: bytes, kind: str) -> None:
    found = fetched(Files(**{"a.png": begins}), f"/uploads/{SECRET}/a.png")
    assert list(found.files) == [f"image-1.{kind}"]


def test_the_remark_names_files() -> None:
    said = uploads.remark([f"/uploads/{SECRET}/{number}.zip" for number in range(12)])
    assert "`0.zip`, `1.zip`" in said
    assert "and 2 more" in said
