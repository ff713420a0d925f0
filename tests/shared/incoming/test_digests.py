from hypothesis import given
from hypothesis import strategies as st

from shared.incoming.digests import digest, digest_of_texts


@given(st.text())
def test_no_text_is_an_exception_and_the_digest_is_hex(text: str) -> None:
    assert len(digest(text)) == 64


def test_only_where_an_image_is_does_not_count() -> None:
    assert digest("a ![b](/uploads/1.png) c") == digest("a ![b](https://gitlab.com/g/a/1.png) c")
    assert digest("a ![b](x) c") != digest("a ![d](x) c")
    assert digest("a [b](x) c") != digest("a [b](y) c")


def test_title_and_description_are_not_confused() -> None:
    assert digest_of_texts("a", "b") != digest_of_texts("ab", "")
    assert digest_of_texts("a", "b") != digest_of_texts("b", "a")
