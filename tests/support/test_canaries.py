import base64

import pytest

from tests import ROOT
from tests.support import canaries


@pytest.mark.parametrize("shift", range(3))
def test_a_secret_is_found_wherever_base64_puts_it(shift: int) -> None:
    text = base64.b64encode(b"a" * shift + canaries.SECRETS[0].encode() + b"tail").decode()
    assert canaries.found_in(text)


def test_a_test_that_prints_a_secret_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest("from tests.conftest import pytest_runtest_makereport  # noqa: F401")
    leak = f"def test_leak():\n    print({canaries.SECRETS[0]!r})\n\n"
    pytester.makepyfile(leak + "def test_quiet():\n    print('nothing')\n")
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2, errors=1)
    capfd.readouterr()  # the inner run repeats what leaked
