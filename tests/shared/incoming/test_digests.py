import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.incoming.digests import digest, digest_of_texts


@given(st.text())
def test_no_text_is_an_exception_and_the_digest_is_hex(text: str) -> None:
    assert len(digest(text)) == 64


@pytest.mark.parametrize("text", ["![", "![](", "![a](", "![a]", "![a\\]", "(", "]("])
def test_a_megabyte_of_anything_is_digested_at_once(text: str) -> None:
    began = time.process_time()
    digest(text * (1_000_000 // len(text)))
    assert time.process_time() - began < 1


def test_only_where_an_image_is_does_not_count() -> None:
    assert digest("a ![b](/uploads/1.png) c") == digest("a ![b](https://gitlab.com/g/a/1.png) c")
    assert digest("a ![b](x) c") != digest("a ![d](x) c")
    assert digest("a [b](x) c") != digest("a [b](y) c")


def test_title_and_description_are_not_confused() -> None:
    assert digest_of_texts("a", "b") != digest_of_texts("ab", "")
    assert digest_of_texts("a", "b") != digest_of_texts("b", "a")
