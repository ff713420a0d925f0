"""What `deploy/bundle.py` ships: only what runs there, the same bytes each time, quick to start."""

import ast
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from tests import ROOT
from tests.support.deploy import bundles
from tests.support.platforms import aws_runtime
from tests.support.platforms.aws_events import url_event

FORBIDDEN = (
    "tests",
    "docs",
    "job",
    "cli",
    "deploy",
    "bench",
    "functions/local",
    "boto3",
    "botocore",
)
OWN = ("shared", "functions")
ROUNDS = 5  # of cold starts, of which the best counts
ENVIRONMENT = {"QUEUE_URL": "http://127.0.0.1:9/q", "WEBHOOK_SECRETS_ID": "webhook"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle for Lambda itself: another processor, perhaps another Python than here."""
    return bundles.build("aws", tmp_path_factory.mktemp("aws"))


@pytest.fixture(scope="module")
def gcp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundles.build("gcp", tmp_path_factory.mktemp("gcp"))


@pytest.fixture(scope="module")
def here() -> Path:
    """Lambda's bundle for this machine's own Python and processor."""
    return bundles.here()


def without_byte_code(bundle: Path) -> set[str]:
    return {path for path in bundles.files(bundle) if not path.endswith(".pyc")}


def sources(*patterns: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)}


def test_a_bundle_holds_one_cloud_and_nothing_that_does_not_run(aws: Path, gcp: Path) -> None:
    for bundle, own, other in ((aws, "aws", "gcp"), (gcp, "gcp", "aws")):
        found = without_byte_code(bundle)
        assert not [
            path
            for path in found
            if path.startswith((*(f"{name}/" for name in FORBIDDEN), f"functions/{other}/"))
        ]
        assert {path for path in found if path.startswith(("shared/", "functions/"))} == sources(
            "shared/**/*.py",
            *("functions/*.py", "functions/gitlab/*.py", f"functions/{own}/*.py"),
        )


def test_a_bundle_holds_all_that_its_own_sources_import(aws: Path, gcp: Path) -> None:
    for bundle in (aws, gcp):
        for path in (*bundle.glob("shared/**/*.py"), *bundle.glob("functions/**/*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith(OWN):
                    module = bundle.joinpath(*str(node.module).split("."))
                    assert module.is_dir() or module.with_suffix(".py").exists(), node.module


def test_google_s_bundle_is_sources_and_the_lock_file(gcp: Path) -> None:
    assert {path for path in bundles.files(gcp) if "/" not in path} == {
        "main.py",
        "requirements.txt",
    }
    assert (gcp / "requirements.txt").read_bytes() == (
        ROOT / "functions" / "gcp" / "requirements.txt"
    ).read_bytes()
    assert "import dispatch, receive, sweep" in (gcp / "main.py").read_text()


def test_lambda_s_bundle_is_for_lambda_s_processor_and_python(aws: Path) -> None:
    for path in bundles.files(aws):
        assert not path.endswith(".so") or path.endswith(
            ("cpython-313-aarch64-linux-gnu.so", ".abi3.so")
        ), path
        assert not path.endswith(".pyc") or ".cpython-313." in path


def test_the_same_sources_give_the_same_bytes(here: Path, gcp: Path, tmp_path: Path) -> None:
    assert bundles.digest(bundles.build("gcp", tmp_path / "gcp")) == bundles.digest(gcp)
    assert bundles.digest(bundles.build("aws", tmp_path / "aws", *bundles.HOST)) == bundles.digest(
        here
    )


def test_lambda_s_bundle_is_small(
    here: Path, gcp: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    for name in without_byte_code(here):
        (bare / name).parent.mkdir(parents=True, exist_ok=True)
        (bare / name).write_bytes((here / name).read_bytes())
    sizes = {
        name: len(bundles.zipped(folder)) / 1e6
        for name, folder in (("aws", here), ("bare", bare), ("gcp", gcp))
    }
    with capsys.disabled():
        print(
            f"\nbundles, zipped: Lambda {sizes['aws']:.2f} MB, of which byte-code {sizes['aws'] - sizes['bare']:.2f} MB; "
            f"Google {sizes['gcp']:.2f} MB of sources"
        )
    assert sizes["bare"] < 2
    assert sizes["aws"] < 4
    assert sizes["gcp"] < 0.3


def cold_start(folder: Path, handler: str, monkeypatch: pytest.MonkeyPatch) -> tuple[float, float]:
    """Return the milliseconds from a process's start to its first answer, by the clock and of CPU."""
    monkeypatch.setattr(aws_runtime, "ROOT", folder)
    unwritten = {"PYTHONDONTWRITEBYTECODE": "1"}
    spent = getrusage(RUSAGE_CHILDREN)
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        function = aws_runtime.Function(handler, ENVIRONMENT | unwritten, output, 20)
        try:
            function.wait_ready()
            answer = function.invoke(url_event("GET", "/", {}, b""))
            seconds = time.perf_counter() - started
            assert answer["statusCode"] == 200
        finally:
            function.stop()
    after = getrusage(RUSAGE_CHILDREN)
    return seconds * 1000, (
        after.ru_utime + after.ru_stime - spent.ru_utime - spent.ru_stime
    ) * 1000


def test_byte_code_makes_a_cold_start_shorter(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare, empty = tmp_path / "bare", tmp_path / "empty"
    for name in without_byte_code(here):
        (bare / name).parent.mkdir(parents=True, exist_ok=True)
        (bare / name).write_bytes((here / name).read_bytes())
    empty.mkdir()
    (empty / "empty.py").write_text(
        "def handler(event, context):\n    return {'statusCode': 200, 'body': ''}\n"
    )
    ours = "functions.aws.handlers.receive"
    kinds = (("shipped", here, ours), ("bare", bare, ours), ("empty", empty, "empty.handler"))
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in kinds}
    for _ in range(ROUNDS):
        for name, folder, handler in kinds:
            measured[name].append(cold_start(folder, handler, monkeypatch))
    best = {
        name: (min(wall for wall, _ in each), min(cpu for _, cpu in each))
        for name, each in measured.items()
    }
    with capsys.disabled():
        print(
            f"\nLambda, process start to first answer, and CPU, ms (Python {sys.version_info.major}."
            f"{sys.version_info.minor}, best of {ROUNDS}): receive {best['shipped'][0]:.0f}, {best['shipped'][1]:.0f}; without "
            f"byte-code {best['bare'][0]:.0f}, {best['bare'][1]:.0f}; an empty handler {best['empty'][0]:.0f}, "
            f"{best['empty'][1]:.0f}"
        )
    assert best["shipped"][1] < best["bare"][1]
