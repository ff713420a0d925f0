"""Skills of the default branch: copied as they are, in bounds, with no tool that nobody named."""

import os

import pytest

from job import skills
from job.failures import Failure
from tests.support.job.clone import Clone

GREET = "---\nname: greet\ndescription: d\n{}---\nSay moin.\n"


def copied(
    clone: Clone, files: dict[str, str], folder: str = "team/skills/", *allowed: str
) -> dict[str, str]:
    clone.gitlab.commit(7, "main", {f"team/skills/{path}": text for path, text in files.items()})
    return skills.copy(clone.open(), folder, clone.private / "config", allowed)


def test_a_folder_of_the_default_branch_is_copied(clone: Clone) -> None:
    text = GREET.format("")
    files = {"greet/SKILL.md": text, "greet/more/a.txt": "a\n", "README.md": "r\n"}
    assert copied(clone, {**files, "greet/link": "link:/etc/passwd"}) == {"greet": "d"}
    made = clone.private / "config" / "skills"
    assert (made / "greet" / "SKILL.md").read_text() == text
    assert (made / "greet" / "more" / "a.txt").read_text() == "a\n"
    assert not os.path.lexists(made / "greet" / "link")
    assert (made / "greet" / "SKILL.md").stat().st_mode & 0o777 == 0o644


def test_what_a_branch_holds_is_not_copied(clone: Clone) -> None:
    clone.gitlab.commit(7, "main", {"s/greet/SKILL.md": "ours"})
    evil = {"s/greet/SKILL.md": "theirs", "s/more/SKILL.md": "x"}
    head = clone.gitlab.commit(7, "evil", evil, parent="main")
    workspace = clone.open()
    workspace.fetch_commit(head)
    workspace.go(head, workspace.trusted)
    assert skills.copy(workspace, "s", clone.private / "config", ()) == {"greet": ""}
    assert (clone.private / "config" / "skills" / "greet" / "SKILL.md").read_text() == "ours"


@pytest.mark.parametrize("folder", ["nowhere", "app.py", "../x", "team/greet", "team/skills:x"])
def test_a_folder_without_a_skill_is_refused(clone: Clone, folder: str) -> None:
    with pytest.raises(Failure, match="expected a folder of the default branch"):
        copied(clone, {"greet/SKILL.md": "x", "deep/er/SKILL.md": "x"}, folder)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a/b/SKILL.md", ""),
        ("_a/SKILL.md", ""),
        ("a b/skill.md", ""),
        ("a/SKILL.md", "\ufeff---\nallowed-tools: Bash\n---\n"),
        ("a/SKILL.md", "\n---\nallowed-tools: Bash\n---\n"),
        ("a/SKILL.md", "---\n allowed-tools: Bash\n---\n"),
        ("a/SKILL.md", '---\n"allowed\\x2dtools": Bash\n---\n'),
        ("a/SKILL.md", "---\n{allowed-tools: Bash}\n---\n"),
        ("a/SKILL.md", "---\n? allowed-tools\n: Bash\n---\n"),
        ("a/SKILL.md", "---\nallowed-tools: [Read,\nBash]\n---\n"),
    ],
)
def test_what_could_be_read_otherwise_is_refused(clone: Clone, path: str, text: str) -> None:
    with pytest.raises(Failure, match="plain lines"):
        copied(clone, {"greet/SKILL.md": "x", path: text})


@pytest.mark.parametrize(("bound", "most"), [("_LARGEST", 10), ("_MOST", 1)])
def test_too_many_files_and_too_large_ones_are_refused(
    clone: Clone, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(skills, bound, most)
    with pytest.raises(Failure, match="its files are more than"):
        copied(clone, {"greet/SKILL.md": "x" * 11, "greet/a.txt": "x"})


@pytest.mark.parametrize(
    "front",
    [
        "allowed-tools: Bash(git *)\n",
        "allowed-tools: Read, Bash\n",
        "allowed-tools:\n  - Read\n  - mcp__own__ping\n",
        "allowed-tools:\n- Bash\n",
        "'allowed-tools': [Read, WebFetch]\n",
        "allowed-tools: Read\r\n  Bash\r\n",
    ],
)
def test_a_tool_that_the_include_does_not_allow_is_refused(clone: Clone, front: str) -> None:
    with pytest.raises(Failure, match="which the input allowed_tools does not name"):
        copied(clone, {"greet/SKILL.md": GREET.format(front)})


def test_a_tool_that_the_include_allows_is_fine(clone: Clone) -> None:
    front = "allowed-tools: Read, Grep Bash(npm test)\n"
    text = GREET.format(front) + "allowed-tools: Bash\n"
    assert set(copied(clone, {"a/SKILL.md": text}, "team/skills", "Bash(npm test)")) == {"a"}


def test_a_description_of_several_lines_is_one(clone: Clone) -> None:
    text = "---\ndescription: >-\n  Greets\n  people.\nname: a\n---\n"
    assert copied(clone, {"a/SKILL.md": text}) == {"a": "Greets people."}
