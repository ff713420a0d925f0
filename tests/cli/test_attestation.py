"""What `verify` found is signed so that openssl alone checks it, by the page's own lines."""

import json
import os
import re
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli import attestation, verify
from cli.installation import Unusable
from tests import ROOT
from tests.cli.test_verify import KEY, SHA, GitLab
from tests.support.fakes import settings
from tests.support.operator_scene import Scene

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl")
PAGE = (ROOT / "docs" / "provenance.md").read_text()
MADE, CHECKED = re.findall(r"```sh\n(openssl genpkey.*?|jq .*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page's two keys."""
    lines = [line for line in MADE.splitlines() if line.startswith("openssl")]
    subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=tmp_path, check=True)
    return tmp_path


def found(gitlab: GitLab, keys: tuple[str, ...] = (KEY,)) -> list[dict[str, Any]]:
    """What `verify` has to sign, if anything."""
    signed: list[dict[str, Any]] = []
    asked = verify.Asked(gitlab, "/p", SHA, None, keys, settings())
    verify.verify(asked, lambda _: None, signed.append)
    return signed


def test_others_check_it_with_the_page_s_lines_alone(folder: Path) -> None:
    if not shutil.which("jq"):
        pytest.skip("there is no jq")
    (statement,) = found(GitLab())
    file = attestation.write(statement, str(folder / "claude.pem"), folder)
    assert file.name == f"{SHA[:12]}.intoto.json"
    lines = CHECKED.replace("1f3c5e7*", f"{SHA[:7]}*")
    done = subprocess.run(
        ["sh", "-ec", lines], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.partition("\n")[2]) == statement


def test_it_says_who_asked_and_which_hops_hold_and_no_word_of_what() -> None:
    (statement,) = found(GitLab())
    assert statement["subject"] == [{"name": "https://g/group/app", "digest": {"gitCommit": SHA}}]
    told = statement["predicate"]
    assert (told["askedBy"], told["accessLevel"], told["run"]) == (42, 30, "5f3a")
    assert told["notShown"] == ["statement"]
    assert told["holds"] == ["commit", "reply", "pipeline", "request", "seal", "note"]
    assert "mend it" not in json.dumps(statement)
    (unsealed,) = found(GitLab(), ())
    assert unsealed["predicate"]["notShown"] == ["statement", "seal"]


def test_nothing_is_signed_where_a_hop_is_broken() -> None:
    gitlab = GitLab()
    gitlab.change("/p/issues/5/notes/9", "mend it", "break it")
    assert found(gitlab) == []


def verified(folder: Path, payload: bytes, signature: bytes) -> bool:
    """What openssl says of a signature."""
    (folder / "signed").write_bytes(attestation.encoded(payload))
    (folder / "signature").write_bytes(signature)
    command = CHECKED.splitlines()[-1].partition(" && ")[0]
    shell = ["sh", "-c", command]
    return not subprocess.run(shell, cwd=folder, capture_output=True, check=False).returncode


def test_no_byte_of_payload_or_signature_can_be_changed(folder: Path) -> None:
    (statement,) = found(GitLab())
    file = attestation.write(statement, str(folder / "claude.pem"), folder)
    envelope = json.loads(file.read_text())
    payload, signature = (
        b64decode(each) for each in (envelope["payload"], envelope["signatures"][0]["sig"])
    )
    assert verified(folder, payload, signature)
    for at in range(0, len(payload), 29):
        changed = payload[:at] + bytes([payload[at] ^ 1]) + payload[at + 1 :]
        assert not verified(folder, changed, signature), at
    for at in range(0, len(signature), 7):
        changed = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        assert not verified(folder, payload, changed), at
    assert not verified(folder, payload, signature[:-1])
    assert not verified(folder, payload, b"")
    subprocess.run(["sh", "-ec", MADE.partition("make")[0]], cwd=folder, check=True)
    assert not verified(folder, payload, signature)  # another key than the one that signed


def test_a_key_that_cannot_sign_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (statement,) = found(GitLab())
    for name in ("none.pem", "claude.pub"):
        with pytest.raises(Unusable, match=rf"{name} cannot sign: .* private key .*\(awskms:///"):
            attestation.write(statement, str(folder / name), folder)
    monkeypatch.setitem(os.environ, "PATH", str(folder))
    with pytest.raises(Unusable, match="there is no openssl"):
        attestation.write(statement, str(folder / "claude.pem"), folder)
    assert sorted(path.name for path in folder.iterdir()) == ["claude.pem", "claude.pub"]


def test_the_bytes_that_are_signed_count_bytes() -> None:
    text = "é".encode()
    assert attestation.encoded(text) == b"DSSEv1 28 application/vnd.in-toto+json 2 " + text


def test_the_command_signs_what_was_found(
    stage: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.setup()
    (statement,) = found(GitLab())

    def holds(_: object, __: object, attest: Callable[[dict[str, Any]], None]) -> int:
        attest(statement)
        return 0

    monkeypatch.setattr("cli.__main__.verify", holds)
    monkeypatch.chdir(folder)
    key = str(folder / "claude.pem")
    status, shown = stage.run("verify", SHA, "--project", "7", "--sign", key)
    file = folder / f"{SHA[:12]}.intoto.json"
    assert (status, f"✔ signed: {file}\n" in shown) == (0, True)
    assert file.exists()
