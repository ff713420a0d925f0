"""Pictures of a thread: `python -m tests.pictures` (`make pictures`) writes docs/pictures.

What they show was said by the running local platform and by the job's code to the stand-in of
GitLab, as in `tests/conversation.py`. Only the frame around it is drawn here.
"""

import html
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from markdown_it import MarkdownIt

from job import reply
from tests import ROOT
from tests.support.catalogues import spoken
from tests.support.conversation_stage import ADA, CLAUDE, GRACE, PROJECT, Stage

FOLDER = ROOT / "docs" / "pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 820  # pixels
# No word to the outside, and no profile of the person who calls it.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_STYLE = """
body { margin: 0; padding: 20px 24px; background: #fff; color: #303030;
  font: 14px/1.5 "Noto Sans", "Noto Sans CJK SC", "DejaVu Sans", sans-serif; }
h1 { font-size: 20px; margin: 0 0 4px; } h1 span, .who span { color: #737278; font-weight: normal; }
.note { border: 1px solid #dcdcde; border-radius: 8px; padding: 10px 14px; margin: 12px 0 0 44px;
  position: relative; } .reply { margin-left: 88px; background: #fbfafd; }
.face { position: absolute; left: -44px; top: 8px; width: 32px; height: 32px; border-radius: 50%;
  color: #fff; text-align: center; line-height: 32px; font-weight: bold; }
.who { font-weight: bold; } p, ul { margin: 6px 0; } ul { padding-left: 20px; }
a { color: #1068bf; text-decoration: none; } hr { border: 0; border-top: 1px solid #dcdcde; }
code { background: #ececef; border-radius: 4px; padding: 1px 4px; font-size: 12px; }
.emoji { display: inline-block; border: 1px solid #dcdcde; border-radius: 12px; padding: 0 8px; }
"""
_FACES = {ADA: "#b24800", GRACE: "#2f5ca0", CLAUDE: "#6e49cb"}


class Words(NamedTuple):
    """What people and the model say in one language; the rest is ours."""

    title: str
    description: str
    question: str
    answer: str
    wish: str
    todos: tuple[str, str, str]
    typo: str
    opened: str


WORDS = {
    "en": Words(
        "The kettle whistles twice",
        "Once should do.",
        "@claude why does it whistle twice? Please fix it.",
        "The second whistle comes from `Lid.close`, which still has a whistle of its own. I removed"
        " it and kept the one in `Kettle.boil`.",
        "@claude and add a test that counts the whistles",
        ("Find where the whistle is blown", "Write a test that hears it twice", "Run all tests"),
        "@claude fix --turn 10 the handle gets hot",
        "opened by",
    ),
    "zh-CN": Words(
        "水壶响了两声",
        "响一声就够了。",
        "@claude 为什么会响两声？请修复。",
        "第二声来自 `Lid.close`，它还留着自己的哨子。我去掉了它，保留了 `Kettle.boil` 中的那一个。",
        "@claude 再加一个统计响声次数的测试",
        ("找到发出响声的地方", "写一个能听到两声的测试", "运行全部测试"),
        "@claude fix --turn 10 把手太烫",
        "创建者",
    ),
}


def act(stage: Stage, words: Words) -> None:
    """Play the thread: an answer, a run at work, and a refusal."""

    def says(who: int, text: str) -> None:
        stage.says(who, text, issue=11)

    def answered(job: str) -> str:
        report = reply.Report(words.answer, 11, 0.42, 252, {})
        where = f"{stage.gitlab.url}/acme/teapot/-/merge_requests/12"
        return reply.finished(job, report._replace(merge_request=where))

    def working(job: str) -> str:
        done = zip(words.todos, ("completed", "in_progress", "pending"), strict=True)
        return reply.working(job, [{"content": text, "status": how} for text, how in done])

    stage.step(
        lambda: stage.gitlab.issue(
            PROJECT, 11, title=words.title, description=words.description, author_id=ADA
        )
    )
    says(ADA, words.question)
    stage.moves("", (1, "running"))
    stage.job_says(1, "", answered, ends=True, minutes=3)
    stage.moves("", (1, "success"), minutes=0)
    says(GRACE, words.wish)
    stage.moves("", (2, "running"))
    stage.job_says(2, "", working, ends=False)
    says(ADA, words.typo)


def page(stage: Stage, words: Words) -> str:
    """Return the thread as HTML."""
    gitlab, shown = stage.gitlab, []
    for discussion in dict.fromkeys(each["discussion_id"] for each in gitlab.notes.values()):
        for number in gitlab.ids("discussion", discussion):
            note, seen = gitlab.notes[number], stage._seen["note", number]
            name, kind = gitlab.users[note["author_id"]].username, "note"
            kind += " reply" if note["author_id"] == CLAUDE else ""
            emoji = f'<span class="emoji">{seen.reactions} 1</span>' if seen.reactions else ""
            shown.append(
                f'<div class="{kind}"><div class="face" style="background:'
                f'{_FACES[note["author_id"]]}">{name[0].upper()}</div><div class="who">{name} '
                f"<span>@{name}</span></div>{_rendered(seen.text)}{emoji}</div>"
            )
    heading = f"<h1>{html.escape(words.title)} <span>#11</span></h1>"
    opened = f'<div class="who"><span>acme/teapot · {words.opened} ada</span></div>'
    return (
        f'<!doctype html><meta charset="utf-8"><style>{_STYLE}</style>{heading}{opened}'
        f"{_rendered(words.description)}{''.join(shown)}"
        "<script>document.title = document.body.scrollHeight</script>"
    )


def _rendered(text: str) -> str:
    """Return Markdown as HTML, with the boxes of a to-do list and with mentions as links."""
    shown = MarkdownIt("commonmark").enable("table").render(text)
    for box, drawn in {"[x]": "☑", "[ ]": "☐"}.items():
        shown = shown.replace(f"<li>{box}", f'<li style="list-style:none">{drawn}')
    shown = re.sub(r'(?<!")https://[\w./-]+', r"<a>\g<0></a>", shown)  # as GitLab does
    return re.sub(r"(?<![\w`])@claude", "<a>@claude</a>", shown)


def draw(browser: str, text: str, picture: Path) -> None:
    """Write a page as a picture that is as high as the page."""
    with TemporaryDirectory(prefix="pictures-") as folder:
        source = Path(folder) / "page.html"
        source.write_text(text)
        command = [browser, *FLAGS, f"--user-data-dir={folder}/profile"]

        def run(*more: str) -> str:
            done = subprocess.run(
                [*command, *more, source.as_uri()], capture_output=True, text=True, check=True
            )
            return done.stdout

        told = run(f"--window-size={WIDTH},200", "--dump-dom")
        height = int(told.partition("<title>")[2].partition("</title>")[0])
        run(f"--window-size={WIDTH},{height}", f"--screenshot={picture}")


def main() -> int:
    """Write the pictures, one for each language; without a browser say so and write none."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        sys.stderr.write(f"no pictures: none of {', '.join(BROWSERS)} is installed\n")
        return 0
    FOLDER.mkdir(exist_ok=True)
    for language, words in WORDS.items():
        with spoken(language), Stage(LANGUAGE=language) as stage:
            act(stage, words)
            draw(browser, page(stage, words), FOLDER / f"thread.{language}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
