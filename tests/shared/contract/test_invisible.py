import sys
import unicodedata

from shared.contract import invisible

# Blank, or change how another character looks, though Unicode counts them among letters and marks.
BLANK = {0x034F, 0x115F, 0x1160, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)}
# Tags and more variation selectors, and what stands unassigned between them and the bidi controls.
RESERVED = {0x2065, *range(0xE0000, 0xE1000)}
# Assigned in newer versions of Unicode: this Python may not know them yet.
NEWER = {0x0890, 0x0891, *range(0x13430, 0x13440)}


def test_the_list_is_unicode_s_own_and_what_is_blank_besides() -> None:
    every = range(sys.maxunicode + 1)
    expected = {
        code
        for code in every
        if unicodedata.category(chr(code)) in ("Cf", "Cc", "Cs") and chr(code) not in "\t\n\r"
    }
    actual = {code for code in every if invisible.pattern().match(chr(code))}
    assert actual - NEWER == (expected | BLANK | RESERVED) - NEWER
    assert actual >= NEWER


def test_nothing_but_what_is_invisible_goes() -> None:
    assert invisible.without("<!-- a\u200b -->\U000e0041`b`\t\r\n") == "<!-- a -->`b`\t\r\n"
    assert invisible.without("é 好 🤖 \u2028") == "é 好 🤖 \u2028"
