import json
import re
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.markdown import rendered
from shared.markdown.sanitize import sanitize
from shared.markdown.visible import mask
from tests import DATA
from tests.shared.markdown.test_visible import FAMILIES, MARKS, counting, repeating

VECTORS = json.loads((DATA / "hidden-text.json").read_text())["cases"]


def keeps(*texts: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("text", texts)


def becomes(*pairs: tuple[str, str | None]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("text", "seen"), pairs)


@pytest.mark.parametrize(
    "case", [case for case in VECTORS if "visible" in case], ids=lambda case: case["name"]
)
def test_a_text_of_the_collection_is_sanitized_as_it_is_shown(case: dict[str, str]) -> None:
    assert sanitize(case["text"]) == case["visible"]


@keeps(
    "List<String>, Vec<Option<T>> and Map<String, List<T>>",
    "a < b && c > d, x <- y, <!-, <- , ->, <3, a<b, 1<2>0",
    "mail <a@b.c> or see <https://x/?a=b&c=d> and https://x/y?a=b&amp;c",
    "| a | b | c |\n|---|---|---|\n| `x | y` | <b>c</b> |\n",
    "- [ ] one\n- [x] two\n  1. three\n\n> quote\n\n# Title #\n\nText\n===\n",
    "[link](http://x/y_(z)) [ref][x] [x] ![](http://x) ![][x]\n\n"
    '[x]: http://x\n[^1]: a "note"\n\na[^1]',
    "arr[0](x) f[i]: 'no title' [a] (b) ![1] wow![2] [not](a link 'x' y)",
    'see [RFC]: it says "hello" and more',
    "<details>\n<summary>Log</summary>\n\n```\n<!-- x -->\n```\n\n</details>",
    "<br /> <br> <hr/> <p>a</p> <img src=\"/u/x.png\"> <a href='h'>t</a> <b >x</b >",
    "<div>\n<img src=x>\n<br />\n</div>",
    "AT&T; &amp; &nbsp; &lt;b&gt; &#60;!-- hi --&#62; &unknown; &",
    r"\<!-- shown --> \![a](b) \&#8203; \`<!- ` \\",
    "[a](<my file.png>) ![](<b c>) [x]\n\n[x]: <c d>",
    "use the <?php tag, or <! what, or <![CDATA[",
    "a ` b ``` c ~~~ d",
    "if x <y and z: pass",
    '~/.bashrc  $HOME\ttab %A ${x} {"a": 1} été 漢字 🤖',
    "```js\n<b x=y>\n```\ntext\n~~~ suggestion:-0+3\n<b x=y>\n~~~\n",
    "",
    "\n",
)
def test_what_people_write_stays(text: str) -> None:
    assert sanitize(text) == text


def test_component_code_outside_of_code_loses_what_a_browser_hides() -> None:
    jsx = '<Button onClick={go} kind="big">Go</Button>'
    assert sanitize(f"`{jsx}` and\n\n```jsx\n{jsx}\n```") == f"`{jsx}` and\n\n```jsx\n{jsx}\n```"
    assert sanitize(f"see {jsx}") == "see <Button>Go</Button>"
    no_tag = "see <B f={() => go()} g='h'>"  # GitLab shows it
    assert sanitize(no_tag) == no_tag


@becomes(
    (
        "a\u200bb\u202ec\u2066d\xade\ufefff\u2060g\U000e0041h\ufe0fi\U000e0100j\u3164k\u180el\0m\x9bn",
        "abcdefghijklmn",
    ),
    ("`a\u200bb`\n\n    c\u202ed\n\n```\ne\U000e0041f\n```", "`ab`\n\n    cd\n\n```\nef\n```"),
    ("a\r\nb\rc\u2028d\u2029e\tf", "a\nb\nc\nd\ne\tf"),
    ("a\ud800b\udfffc", "abc"),
    ("<\u200b!-- a -->b", "b"),
    ("@cl\u200baude", "@claude"),
)
def test_invisible_characters_go_everywhere(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@becomes(
    ("\u200b~~~\n<!-- a -->\n\u200b~~~", "~~~\n\n~~~"),
    ("\u200b    <!-- a -->", "    "),
    ("a\u2028~~~\u2028<!-- b -->", "a\n~~~\n"),
    ("~~~\n<!-- a -->\n~~~\u200b\n<!-- b -->", "~~~\n<!-- a -->\n~~~\n"),
)
def test_code_is_recognised_once_invisible_characters_are_gone(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@becomes(
    ("a <!-- b --> c <!-- d\ne --> f", "a  c  f"),
    ("a <!-- b\n\nc --> d", "a  d"),
    ("a <!--> b <!---> c", "a  b  c"),
    ("<!-- a\n\n```\n\n--> b", " b"),
    ("a <!-- b\n\n```\nc", "a "),
    ("<? a > b ?> c <!DOCTYPE d> <![CDATA[ e > f ]]> g", " c   g"),
    ("a <? b ?> c <!D e> <![CDATA[ f ]]> g", "a  c   g"),
    ("<?a b\n\nc", ""),
    ("a <? b\n\nc ?>", "a <? b\n\nc ?>"),
    ("<script>a\n\nb</script >c<STYLE x=y>d</style>e", "ce"),
    ("a <script>b\n\nc", "a "),
    ("a <style>b</style> <scripted> <style-x>", "a  <scripted> <style-x>"),
    ("> a <!-- b\n> c --> d", "> a  d"),
    ("- <!-- a -->\n- b", "- \n- b"),
    ("<div>\n[a](<b c>)\n</div>", "<div>\n[a](<b>)\n</div>"),
    ("<div></ a b><! c></div>", "<div></div>"),
)
def test_comments_scripts_and_declarations_go(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@becomes(
    ("<b a b=c title=\"d > e\" f = 'g'\nh>i</b>", "<b>i</b>"),
    ("<img alt='a' src=\"/u/b.png\" width=5 />", '<img src="/u/b.png" />'),
    ("<a HREF=b title='href=\"c\"' src=\"d e\" href='f<g' >h</a>", "<a HREF=b >h</a>"),
    ("<b a='\n\nc'>", "<b a='\n\nc'>"),
    ("<b\n\na=c>", "<b\n\na=c>"),
    ('<div hidden style="display:none">a</div>', "<div>a</div>"),
    ('<div>\n<b "a" c=d>e</b f>\n</div>', "<div>\n<b>e</b>\n</div>"),
    ('<div>\n<b "a\n\nb > c', "<div>\n<b\n\nb > c"),
    ('<div>\n<b "a title="b\n\nc', "<div>\n<b"),
)
def test_attributes_go_except_plain_addresses(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@becomes(
    ("![a b](c) ![d][e] ![f [g](h) i](j) [![k](l)](m)", "![](c) ![][e] ![](j) [![](l)](m)"),
    ("![a `](b)` c](d) ![e <b x=y> f](g)", "![](d) ![](g)"),
    ("![a [b c](d) ![e", "![a [b c](d) ![e"),
    ("![[a]](b) ![a]] ![c](d)", "![](b) ![a]] ![](d)"),
    ("![a\n\nb](c)", "![a\n\nb](c)"),
    ("]] ![a\nb](c 'd') e", "]] ![](c) e"),
    ("![a <script>](b) c", "!["),
    ("![a <!-- b](c) d", "!["),
    ("![a [x <!-- b](c) d --> e](f)", "![](f)"),
    ('[a](b "c") [d](<e f> \'g\') [h]( i\n(j) ) [](k "l")', "[a](b) [d](<e f>) [h]( i ) [](k)"),
    ('[a](b "c ` d") <!-- e --> ` f', "[a](b)  ` f"),
    ("[a](b[c](d 'e')", "[a](b[c](d)"),
    ("[x]: a \"b\"\n[y]: <c d>\n  (e)\n> [z]:\n> f\n> 'g'\n", "[x]: a\n[y]: <c d>\n> [z]:\n> f\n"),
    ("a\n\n[x]: b 'c'\n\n<div>\n[y]: d 'e'\n\nf", "a\n\n[x]: b\n\n<div>\n[y]: d\n\nf"),
)
def test_alternative_texts_and_titles_go(text: str, seen: str) -> None:
    assert sanitize(text).replace(" )", ")") == seen.replace(" )", ")")


@becomes(
    (
        "a&#8203;b&#x200B;c&zwj;d&shy;e&#x202e;f&ZeroWidthSpace;g&#xE0041;h&#8232;i&#13;j&#1;k",
        "abcdefghijk",
    ),
    ("`&#8203;` &#8203;&#82&#8203;03;", "`&#8203;` "),
    ("<div>\n&#8203;\n</div>", "<div>\n\n</div>"),
)
def test_entities_of_invisible_characters_go(text: str, seen: str) -> None:
    assert sanitize(text) == seen


MARKUP = "<!-- a --> <b x=y> ![c](d 'e') [f](g 'h') &#8203;\n[x]: i 'j'"


@keeps(
    f"```\n{MARKUP}\n```",
    f"~~~html\n{MARKUP}\n\n{MARKUP}",
    f"````\n```\n{MARKUP}\n```\n{MARKUP}\n````\n",
    f"``{MARKUP.splitlines()[0]}`` and `` `<!-- ` `` a ``` ` `<!-- -->`` ```",
    "    <!-- a -->\n\n\t<b x=y>\na",
    "- a\n\n      <!-- b -->\n\n  ```\n  <b x=y>\n  ```\n- c",
    "1. a\n   ```\n   <b x=y>\n   ```\n   - b\n     ~~~\n     <!-- c -->\n     ~~~\n",
    "> ```\n> <b x=y>\n> ```\n> > ~~~\n> > <!-- a -->\n> > ~~~\n",
    "> ```\n> <b x=y>\n> ```\n\n```\n<b x=y>\n```",
    "- > ```\n  > <b x=y>\n  > ```\n",
    ">>>\n```\n<b x=y>\n```\n>>>\n",
    "`a` and `<!-- b -->`\nand `c` in `<b x=y>`",
    "| a | b |\n|---|---|\n| `<b x=y>` | `c \\| <b x=y>` |",
    "| a | `b | <b x=y>` without a second line",
    "<pre>a</pre>\n\n`<b x=y>`",
    "<!-- -->`a`\n\n```\n<!-- b -->\n```".replace("<!-- -->", ""),
    "```\nx ``` y\n<b x=y>\n```",
)
def test_code_stays_to_the_letter(text: str) -> None:
    assert sanitize(text) == text


@becomes(
    ("```js a b\nc\n```\n```  py d\n``` e f\n```\n", "```js\nc\n```\n```  py\n``` e f\n```\n"),
    ("- ~~~ a b\n  <!-- c -->\n  ~~~", "- ~~~ a\n  <!-- c -->\n  ~~~"),
    ("```" + "a" * 30 + "\n", "```" + "a" * 20 + "\n"),
    ("> ```a b\n> c", "> ```a\n> c"),
)
def test_of_the_line_that_opens_a_fence_only_the_language_stays(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@becomes(
    ("<div>\n```\n<!-- a -->\n```\n</div>\n\n`<!-- b -->`", "<div>\n```\n\n```\n</div>\n\n``"),
    ("<div>\n`<!-- a -->` \\<!-- b -->\n</div>", "<div>\n`` \\\n</div>"),
    ("<pre>\n\n`<!-- a -->`\n</pre>\n\n`<!-- b -->`", "<pre>\n\n``\n</pre>\n\n`<!-- b -->`"),
    ("- <pre>\n\n`<!-- a -->`\n</pre>\n\n`<!-- b -->`", "- <pre>\n\n``\n</pre>\n\n``"),
    ("<!-- a --> `<!-- b -->`\n`<!-- c -->`", " ``\n``"),
    ("a <!-- b\n\n```\nc --> d\n```\n<!-- e -->\n```", "a  d\n```\n\n```"),
    ("a <!-- b\n\n` --> ` <!-- c --> `", "a  `  `"),
    ('](a "`") b ` c ` d ` <!-- e --> `', "](a) b ` c ` d `  `"),
    ("- " * 60 + "<!-- a -->\n\n\n```\n<!-- b -->\n```", "- " * 60 + "\n\n\n```\n\n```"),
    ("> a\n    <!-- b -->", "> a\n    "),
    ("> a `\n` <!-- b --> `", "> a `\n`  `"),
    ("`a\n<!-- b -->`", "`a\n`"),
    ("a ` b\nc `<!-- d -->`\n\n`<!-- e -->`", "a ` b\nc ``\n\n`<!-- e -->`"),
    ("|a|b|\n|-|-|\n|` a | <!-- b --> ` |", "|a|b|\n|-|-|\n|` a |  ` |"),
    (">\t<!-- a -->\n>\n> \t\t<!-- b -->", ">\t\n>\n> \t\t"),
    ("> " * 5 + "    <!-- a -->", "> " * 5 + "    "),
    ("- >>>\n  ```\n  <!-- a -->\n", "- >>>\n  ```\n  \n"),
)
def test_doubtful_code_is_treated_as_text(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@becomes(
    ("| a |\n|---|\n| x | IGNORE |", "| a |\n|---|\n| x |"),
    ("a | b\n:-|-\nc | d | e |\nf\\|g|h|i\n\nx|y|z", "a | b\n:-|-\nc | d |\nf\\|g|h|\n\nx|y|z"),
    ("- |a|\n  |-|\n  |b|c|\n- d|e", "- |a|\n  |-|\n  |b|\n- d|e"),
    ("> a|b\n> -|-\n> c|d|e\nf|g|h", "> a|b\n> -|-\n> c|d|\nf|g|h"),
    ("x\n\na|b\n-|-\n`c|d` | e\n# f|g|h", "x\n\na|b\n-|-\n`c|d` |\n# f|g|h"),
    ("<div>\n\n|a|\n|-|\n|b|c|\n</div>", "<div>\n\n|a|\n|-|\n|b|\n</div>"),
)
def test_cells_beyond_the_header_go(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@keeps(
    "| a | b |\n|---|---|\n| c |\n| d | e |   \n|f|g\\|h|",
    "# a\n|---|\n| x | y |",
    "a|b\n|---|\n|x|y|",
    "```\n|a|\n|-|\n|b|c|\n```",
    "<details>\n\n```\n|a|\n|-|\n|b|c|\n```\n</details>",
    "a\n---\nb|c",
    "- | a\n- | -\n- b | c",
)
def test_other_bars_stay(text: str) -> None:
    assert sanitize(text) == text


@becomes(
    ("<ruby>a<rp>HIDDEN</rp><rt>b</rt></ruby>", "<ruby>a<rt>b</rt></ruby>"),
    ("<ruby>a<RP class=x>(<rt>b<rp>)</ruby> c", "<ruby>a<rt>b</ruby> c"),
    ("a <rp>b <i>c</i></rp> d", "a "),
    ("a <rp>b", "a "),
    ("`<rp>` <rpx>", "`<rp>` <rpx>"),
)
def test_what_stands_for_readers_without_ruby_goes(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@pytest.mark.parametrize(
    ("language", "drawn"),
    [
        ("mermaid", "a\n%%|\n%%{|}%%\na --> b %%|\naccTitle:|\naccDescr {|}"),
        ("Mermaid:x y", "%%|"),
        ("plantuml", "'|\na -> b : it's\n/'|'/ c"),
        ("c4plantuml", "  '|"),
        ("graphviz", 'a [label="http://x // y", color=#fff] //|\n#|\n/*|*/ b\n/*|'),
        ("d2", 'a -> b: "# c" #|\n"""|"""'),
        ("erd", "[a] #|\nb {color: #ff0000}"),
        ("dbml", "Table a { //|\n}"),
        ("nomnoml", "#fill: red\n//|\n[a]"),
        ("bytefield", '(a "; b") ;|'),
        ("symbolator", "--|\na //|"),
        ("diagramsnet", "<a/><!--|-->"),
        ("wireviz", "a: b #|"),
        ("seqdiag", "a -> b; #|\n//|"),
        ("math", "a %|\n\\%b \\phantom{|} \\hphantom {|} {c}"),
        ("tikz", "\\draw; %|"),
    ],
)
@pytest.mark.parametrize("around", ["```", "~~~~", "> ```", "- ```"])
def test_comments_of_drawn_code_go_and_their_marks_stay(
    language: str, drawn: str, around: str
) -> None:
    before = around.rstrip("`~")
    fence = around.removeprefix(before)
    rest = before.replace("-", " ")
    body = "".join(f"{rest}{line}\n" for line in drawn.split("\n"))
    text = f"{before}{fence}{language}\n{body}{rest}{fence}\nafter"
    clean = re.sub(r"(?m) y$", "", text.replace("|", ""))
    assert sanitize(text.replace("|", " HIDDEN * x ")) == clean
    assert sanitize(clean) == clean


@becomes(
    ("a $b % HIDDEN$ c", "a $b %$ c"),
    ("$`a % HIDDEN`$ `b % c`", "$`a %`$ `b % c`"),
    ("$$\na % HIDDEN\n\\phantom{HIDDEN}$$ b", "$$\na %\n\\phantom{}$$ b"),
    ("<div>\n$a %HIDDEN$\n</div>", "<div>\n$a %$\n</div>"),
    ("$a % HIDDEN$ <!-- HIDDEN -->", "$a %$ "),
    ("$a <!-- HIDDEN --> % HIDDEN$", "$a  %$"),
    ('<pre lang="mermaid"><code>a\n%% HIDDEN\n</code></pre>', "<pre><code>a\n%%\n</code></pre>"),
    ("<div>\n````\n\n```mermaid\n%% HIDDEN\n```\n", "<div>\n````\n\n```mermaid\n%%\n```\n"),
    ("```mermaid\n- ```\n      ```\n> ```\n%% HIDDEN", "```mermaid\n- ```\n      ```\n> ```\n%%"),
    ("```plantuml\n/'\nHIDDEN\n'/```\n```", "```plantuml\n/''/```\n```"),
)
def test_comments_of_formulas_and_in_doubt_go(text: str, seen: str) -> None:
    assert sanitize(text) == seen


@keeps(
    "```js\n// a\n%% b\n```\n```\n' c\n```",
    "````markdown\n```mermaid\n%% a\n```\n````",
    "    ```mermaid\n    %% a\n",
    "    ```js a b\n",
    "from $5 to $6 (10% off), $HOME/%a and 20% of it",
    "`$a % b$` and \\$a % b$",
    "50% off, ```mermaid %% a``` and mermaid %% b",
)
def test_what_is_not_drawn_stays(text: str) -> None:
    assert sanitize(text) == text


def table(data: object, around: str = "") -> str:
    body = json.dumps(data, indent=1, ensure_ascii=False).replace("\n", f"\n{around}")
    return f"{around}```json:table\n{around}{body}\n{around}```"


@pytest.mark.parametrize("around", ["", "> "])
@pytest.mark.parametrize(
    "data",
    [
        {"fields": [{"key": "a"}], "items": [{"a": "漢", "b": "HIDDEN"}]},
        {"fields": ["a", 1], "items": [{"a": 1, "HIDDEN": 2}, 3]},
        {"items": [{"a": 1}, {"a": 2, "b": "HIDDEN"}]},
        {"items": [{"a": 1}], "note": "HIDDEN", "caption": "a", "filter": True},
        {"fields": [{"key": "a", "note": "HIDDEN"}], "items": []},
    ],
)
def test_of_a_json_table_only_columns_stay(data: object, around: str) -> None:
    seen = sanitize(table(data, around))
    assert "HIDDEN" not in seen
    assert sanitize(seen) == seen
    assert '"a"' in seen


@keeps(
    table({"fields": [{"key": "a", "label": "A"}], "items": [{"a": "x"}], "markdown": True}),
    "```json:table\n{ none\n```",
    "```json:table\n[1]\n```",
    '```json\n{"items": [{"a": 1}, {"b": 2}]}\n```',
)
def test_other_json_stays(text: str) -> None:
    assert sanitize(text) == text


@becomes(
    ('```json:table\n{"items": [{"a": "HIDDEN", "a": "b"}]}\n```', None),
    ('```json:table\n{"items": [{"a": ' + "9" * 5000 + "}]}\n```", "```json:table\n```"),
    ("```json:table\n" + '{"a":' * 100_000 + "\n```", "```json:table\n```"),
    ('```json:table\n{"b": 1, "caption": "a\\u200b\\u2028"}\n```', None),
)
def test_a_json_table_that_is_odd_hides_nothing(text: str, seen: str | None) -> None:
    clean = sanitize(text)
    assert seen is None or clean == seen
    assert not re.search("HIDDEN|[\u200b\u2028]", clean)


@becomes(
    ("---\na: <b c=d> <!-- e -->\n---\n<!-- f -->g", "---\na: <b c=d> <!-- e -->\n---\ng"),
    ("+++toml\n~~~\n...\n<!-- a -->", "+++toml\n~~~\n...\n"),
    ("# coding: a\n\n;;;\n<b c=d>\n---", "# coding: a\n\n;;;\n<b c=d>\n---"),
    ("---\na\n---\n```js b\n<b c=d>\n```", "---\na\n---\n```js\n<b c=d>\n```"),
    ("---mermaid\n%% a\n---", "---mermaid\n%%\n---"),
    ("a\n---\n<!-- b -->\n---", "a\n---\n\n---"),
    ("---\n[a b]: c\n---\n\n[d e]: f", "---\n[a b]: c\n---\n"),
)
def test_front_matter_is_code(text: str, seen: str) -> None:
    assert sanitize(text).rstrip("\n") == seen.rstrip("\n")


def nested(depth: int) -> str:
    return "<!-" * depth + "<!-- x -->" + "- x -->" * depth


@becomes(
    ("<!-<!-- -->- a -->", ""),
    ("<b <b a=c>d=e>", "<b <b>d=e>"),
    ("<<!-- -->!-- a --> b", " b"),
    ("!<!-- -->[a](b)", "![](b)"),
    ("<!-<!-<!-- -->- b -->- a -->", ""),
    (nested(3), ""),
    (nested(4), "&lt;!-- x -->"),
    ("&#82" * 5 + "&#8203;" + "03;" * 5, "&#82&amp;#8203;03;"),
    (f"{nested(4)}![a](b) ~~~ [c](d)", "&lt;!-- x -->!\\[]\\(b) \\~~~ [c]\\(d)"),
)
def test_removing_text_creates_no_markup(text: str, seen: str) -> None:
    assert sanitize(text) == seen


PIECES = (
    *MARKS,
    "<b x=y>", "<b ", 'title="a"', "<div>", "</div>", "<!A", "<?", "?>", "<![CDATA[", "]]>",
    "<script>", "![", "![a](", "[a](b 'c')", "[x]: y 'z'\n", "&#8203;", "&zwj;", "\u200b", "\u2028",
    "|", "\n|-|\n", "<!-", "- ", "&#82", "03;", "\U000e0041", "\n-|-\n", "a|b\n", "|c|d|e\n",
    "<rp>", "</rp>", "<rt>", "```mermaid\n", "%%", "%%{", "```plantuml\n", "/'", "'/", "```math\n",
    "$", "$$", "%", "\\phantom{", "{", "}", "```json:table\n", '{"items":[{"a":1,"a":2}]}',
    "\n---\n", "---\n", '<pre lang="math">', "+++\n", "...\n",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join)


@given(TEXTS)
def test_applied_again_it_changes_nothing(text: str) -> None:
    assert sanitize(sanitize(text)) == sanitize(text)


@given(TEXTS)
def test_no_invisible_character_survives(text: str) -> None:
    seen = sanitize(text)
    assert not [
        char
        for char in seen
        if unicodedata.category(char) in ("Cc", "Cf", "Cs") and char not in "\n\t"
    ]
    assert not re.search("[\ufe00-\ufe0f\U000e0000-\U000e0fff\u2028\u2029\u3164]", seen)


@given(TEXTS)
def test_no_comment_outside_code_survives(text: str) -> None:
    # `mask` hides all code, certain or not, and an address with the backslash in it that makes a
    # comment text.
    seen = sanitize(text)
    comments = [found.start() for found in re.finditer("<!--", mask(seen))]
    assert not [at for at in comments if (at - len(seen[:at].rstrip("\\"))) % 2 == 0]


@given(TEXTS)
def test_a_comment_survives_only_in_code(text: str) -> None:
    seen = sanitize(f"{text}\n\nx <!-- HIDDEN --> y")
    assert "HIDDEN" not in mask(seen)


@given(
    st.text(
        st.characters(
            exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], exclude_characters="<&[]`~"
        )
    )
)
def test_text_without_markup_stays(text: str) -> None:
    seen = re.sub(
        "[\u034f\u115f\u1160\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff\u2065]",
        "",
        text,
    )
    assert sanitize(text) == seen


@given(
    st.text(
        st.characters(
            exclude_categories=["Cc", "Cf", "Cs", "Mn", "Lo", "Zl", "Zp", "Cn"],
            exclude_characters="`",
        )
    )
)
def test_fenced_code_stays(text: str) -> None:
    assert sanitize(f"```\n{text}\n```\n<!-- a -->b") == f"```\n{text}\n```\nb"


REPEATED = (
    "<!-- a -->", "\n<!--a-->b", "<!-", "<b a=b>", "<a href=h x=y>", "<b\n", "<div>\n",
    '<div>\n<b a="', "</div x ", "<script>", "<script>x</script>", "![a](b)", "![a][b] ", "![",
    "![]", '](a "', "](a '\n", "](a (", "&#8203;", "&amp;", "&zwj;x", "`a` ", "\n`a", "\n`a`b``",
    "|-\n", "|a`|\n", "> <b x=y>\n", "> ```\n> <b a=b>\n", "> a\n>\n", '[x]: y "z"\n', '[x]: y "\n',
    "[x]:\n", "\u200b", "a\u200b", "\u2028", "<?a?>", "<? ", "\n<?\n\n", "<!A\n\n", "<![CDATA[",
    "<pre>\n", "<pre></pre>\n", "\n<pre>\n\n</pre>", "- a\n\n      <b c=d>\n", "\\<", "é<b c=d>",
    "]", "<b a='<b c=\"' d=' e=\"", '<b =\'<b ="\' "=" "=\'', '<div>\n<b ="<b "="', "```a b\n```\n",
    "![a <!-- ]( -->", "a|b\n-|-\nc|d|e\n", "|a\n", "-|-\n", "<rp>", "<rp>a</rp>", "<rp><b>",
    "$a%b$ ", "$", "$$ ", "$$", "$a%\n", "$a", "\\phantom{", "$\\phantom{", "```mermaid\n%% a\n",
    "```mermaid\n", "```mermaid\n%%{", "```plantuml\n/'", "```plantuml\n'a\n```\n", '```d2\n"""',
    "```dot\n/*a\n", "```math\n{", '<pre lang="math">', '<pre lang="math', "<pre ",
    '```json:table\n{"items": [{"a":', "```json:table\n{}\n```\n", "---\n", "---\n\n", "+++\n...\n",
    "%%", "mermaid ",
)  # fmt: skip
OURS: dict[str, Callable[[int], str]] = {
    **FAMILIES,
    **{repr(text): repeating(text) for text in REPEATED},
    "comments in comments": lambda size: (
        "<!-" * (size // 20) + "<!-- -->" + "- x -->" * (size // 20)
    ),
    "tags in tags": lambda size: "<b " * (size // 20) + "<b c=d>" + " c=d>" * (size // 20),
    "a late image": lambda size: "![a" * (size // 3) + "](b)",
    "images in images": lambda size: "![" * (size // 6) + "](b)" * (size // 6),
    "open instructions": lambda size: "<? " * (size // 3) + "\n\n?>",
    "quotes in loose tags": lambda size: '<div>\n<b ="' + '<b "="' * (size // 6) + '" < >',
    "openers and comments": lambda size: "![" * (size // 30) + "<!-- ]( -->" * (size // 15),
    "rows of bars": lambda size: "|a|\n|-|\n" + "|" * size,
    "rows beyond": lambda size: "|a|\n|-|\n" + "|b|c|d\n" * (size // 8),
    "comments in a drawing": lambda size: "```dot\n" + '/*a*/ "b" // c\n' * (size // 16),
    "an open drawing": lambda size: "```plantuml\n" + "/'a" * (size // 3),
    "braces in a formula": lambda size: "```math\n" + "\\phantom{" * (size // 9) + "}" * size,
    "front matter without end": lambda size: "---\n" + "--- a\n" * (size // 6),
    "a deep JSON table": lambda size: "```json:table\n" + '{"a":' * (size // 5) + "\n```",
    "runs of backticks in lines": lambda size: counting(size).replace("a", "a\n"),
}
SIZE = 10_000


def cost(text: str) -> float:
    start = time.process_time()
    sanitize(text)
    return time.process_time() - start


@pytest.mark.parametrize("name", OURS)
def test_four_times_the_text_costs_less_than_eight_times_the_time(name: str) -> None:
    short, long = (OURS[name](size) + "\n\n<b x=y>" for size in (SIZE, 4 * SIZE))
    # Quadratic would be sixteen times. What else the machine does is noise: one fair comparison of
    # twenty is enough.
    assert any(cost(long) <= 8 * max(cost(short), 0.0005) for _ in range(20))


def test_no_language_that_is_drawn_is_overlooked_in_any_spelling() -> None:
    others = (("i", "\u0130"), ("i", "\u0131"), ("s", "\u017f"), ("k", "\u212a"))
    for name in rendered._WORDS:
        spelled = [name.upper(), *(name.replace(*each) for each in others)]
        assert [each for each in spelled if not rendered.is_drawn(f"see {each}!")] == []
    assert not rendered.is_drawn("see nothing\n" * 100)
