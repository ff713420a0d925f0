"""Guidance arrives as Claude Code reads it: imports, folders, limits; code is no import."""

from job.guides import Guides, gather


def told(files: dict[str, str], *nested: str) -> Guides:
    return gather(files.get, nested)


def test_nothing_is_said_where_there_is_none() -> None:
    assert told({}) == Guides("", {})


def test_what_a_guide_imports_follows_it() -> None:
    text = told({
        "CLAUDE.md": "One. @AGENTS.md\n- @docs/style.md, and see @./more.md.\n",
        "AGENTS.md": "Two.\n",
        "docs/style.md": "Three. @deeper.md @../four.md#part",
        "docs/deeper.md": "Deeper.",
        "four.md": "Four. @CLAUDE.md",
        "more.md": "More.",
    }).text  # fmt: skip
    words = ["One.", "Two.", "Three.", "Deeper.", "Four.", "More."]
    assert [text.count(word) for word in words] == [1] * len(words)
    assert sorted(words, key=text.index) == words
    assert "project's AGENTS.md, from its default branch:\n\nTwo.\n" in text


def test_code_and_addresses_are_no_imports() -> None:
    text = told({
        "CLAUDE.md": (
            "Write to a@secret.md, `@secret.md`, ``x ` @secret.md``.\n"
            "```\n@secret.md\n```\n"
            "    not\n~~~sh\n @secret.md\n~~~\n@/secret.md @~/secret.md @../secret.md"
        ),
        "secret.md": "SECRET",
    }).text  # fmt: skip
    assert "SECRET" not in text


def test_imports_end_after_five_and_never_go_in_circles() -> None:
    files = {f"{number}.md": f"N{number} @{number + 1}.md" for number in range(9)}
    text = told({"CLAUDE.md": "@0.md", **files}).text
    assert "N4" in text
    assert "N5" not in text
    assert told({"CLAUDE.md": "x @CLAUDE.md"}).text.count("x @") == 1


def test_a_folder_s_guide_says_where_it_holds() -> None:
    files = {
        "CLAUDE.md": "Top.",
        ".claude/CLAUDE.md": "Top too.",
        "svc/CLAUDE.md": "Svc. @AGENTS.md",
        "svc/AGENTS.md": "Agents of svc.",
        "lib/.claude/CLAUDE.md": "Lib.",
    }
    text = told(files, "svc/CLAUDE.md", "lib/.claude/CLAUDE.md").text
    assert text.index("Top too.") < text.index("the folder svc alone") < text.index("Agents of svc")
    assert "the folder lib alone" in text


def test_long_guides_are_cut_and_those_of_folders_are_files() -> None:
    files = {"CLAUDE.md": "x" * 70_000, "a/CLAUDE.md": "y" * 30_000, "b/CLAUDE.md": "z"}
    made = told(files, "a/CLAUDE.md", "b/CLAUDE.md")
    assert "[cut here" in made.text
    assert made.text.count("x") < 61_000
    assert "the folder a alone is in the file guide-1.md" in made.text
    assert "z\n" in made.text
    assert made.files["guide-1.md"].count(b"y") == 30_000


def test_a_binary_file_is_no_guide() -> None:
    assert "\0" not in told({"CLAUDE.md": "@x.png", "x.png": "\0\0"}).text
