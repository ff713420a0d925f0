"""Detection on hostile notes of GitLab's largest size: every family counts."""

import time
from collections.abc import Iterator

from shared.incoming.mention import instruction
from tests.proofs.rows import Row
from tests.proofs.security import families
from tests.proofs.security.families import SIZE

BAR = 100  # milliseconds of a processor
PIECES = (
    *families.TEXTS,
    *families.JSON,
    *("`a", "`` ` ", "[a](b) ", "<a b='", "](<", "- ", ">>>\n", "~~~\n", "[x]: y\n", "\\"),
    *("http://", "> a\nb\n", "**", "_", "|", "<p>\n\n", "@claude\n\n", "@claude ", '"`` ` "'),
    *("|a|\n|-|\n|b|c\n", "---\n", "$$", "$a%", "<rp>", "1. a\n", "    a\n", "\n", "- - - a\n"),
    *(
        "@claude@claude",
        "\u200b@claude ",
        "`@claude` ",
        "[a](@claude)",
        "```\n@claude\n",
        "\t@claude",
    ),
    *(
        "a\n-\n",
        "a\n=\n",
        "a\n> b\n",
        "a\n# b\n",
        "a\n```\nb\n```\n",
        "- ```\n",
        "- > a\n",
        "- [ ] a\n",
    ),
    *("1.\n", "-\n\n", "+ a\n\n  b\n", ">>>\na\n>>>\n", ">>>\n\n", "[a]: b\n[a] ", "[![a](b)](c) "),
    *(
        "<pre></pre>",
        "<code></code>",
        "<",
        "<a",
        "<?",
        "<b>",
        "<b ",
        "\r",
        "\r\n",
        "&amp;",
        "*a_",
        "]]",
    ),
    *(
        "a\t|\tb\n-|-\n",
        "<http://a.b> ",
        "a@b.c ",
        "\\\n",
        "\u3000",
        "\U0001f600",
        "\0\n",
        "- a\n\tb\n",
    ),
    # What only looks like a tag, over lines; mentions between tags and in tables; other alphabets.
    *("<b\n", "<rp\n", "</", "<a b", "<a\n\n", "<ab:", "<![CDATA[", "<!-- -- ", "&#64;claude "),
    *("<p>\n@claude\n", "<b>@claude</b>", "|@claude|\n|-|\n", "`a\nb` @claude ", "@claude`"),
    *("|-|\n", "> |a|\n> |-|\n> |b|c|\n", "|\\|", "[a][b]", "[^1]: a\n", "> ```\n\n"),
    *("日本語 @claude 修正\n", "\ud800@claude ", "@claude" + "!" * 90, "x @claude --turns 3 "),
)
GROWING = {
    "growing runs of backticks": "".join("`" * run + "a" for run in range(1, 1_400)),
    "growing fences": "".join("~" * (run % 97 + 3) + "\na\n" for run in range(18_000)),
    "a list that grows deeper": "".join(" " * (2 * (row % 45)) + "- a\n" for row in range(20_000)),
    "links in links": "[a](" * 200_000 + ")" * 200_000,
    "front matter left open": "---\n" + "---a\n" * 200_000,
    "front matter without lines": "---\n" + "." * 1_000_000,
    "a first line that names the encoding": "coding:" * 140_000 + "\n---\na\n---\n",
    "quotes that grow deeper": "".join(">" * (row % 300) + " a\n" for row in range(6_600)),
    "tables of all widths": "".join(
        "|a" * wide + "|\n" + "|-" * wide + "|\n" + "|b" * (wide + 1) + "|\n\n"
        for wide in [row % 70 + 1 for row in range(4_600)]
    ),
    "one tag with many attributes": "<a" + " b=c" * 250_000,
    "a comment of dashes": "<!--" + "-" * 1_000_000,
    "falling runs of backticks": "".join("`" * run + " " for run in range(1_400, 1, -1)),
    "labels": "".join(f"[{row}]: a\n[{row}] " for row in range(50_000)),
}


def run() -> Iterator[Row]:
    """Time each family, a mention in front, behind, and both: what is between may reach either."""
    texts = {repr(piece): piece * (SIZE // len(piece)) for piece in PIECES} | GROWING
    seen = {name: _milliseconds(text) for name, text in texts.items()}
    slow = sorted(((ms, name) for name, ms in seen.items() if ms > BAR), reverse=True)
    worst = max(seen, key=lambda name: seen[name])
    yield Row(
        f"detection in {SIZE:,} characters, worst of {len(seen)} families",
        f"≤ {BAR} ms",
        f"{seen[worst]:.0f} ms (`{worst}`); {len(slow)} above",
        not slow,
        stories=tuple(f"{name}: {ms:.0f} ms" for ms, name in slow),
    )


def _milliseconds(text: str) -> float:
    around = (f"@claude {text}", f"{text} @claude", f"@claude {text}\n\n@claude")
    return max(map(_best, around))


def _best(text: str) -> float:
    taken = []
    for _ in range(3):
        began = time.process_time()
        instruction(text, ("@claude",))
        taken.append((time.process_time() - began) * 1000)
    return min(taken)
