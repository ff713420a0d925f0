"""`python -m cli setup|remove|doctor|verify|deploy`: docs/operator.md."""

import argparse
import sys
from functools import partial
from getpass import getpass
from os import environ
from pathlib import Path
from typing import Any

from cli import attestation, statements
from cli.api import Api, under
from cli.connection import Connection, Words
from cli.deploy import bootstrap, deploy
from cli.doctor import doctor
from cli.installation import GITLAB, Installation, Unusable, keep_login, printable, proxy, say
from cli.platforms import open_installation
from cli.remove import remove
from cli.setup import setup
from cli.statements import Broken
from cli.verify import Asked, verify
from shared.gitlab.values import GitLabError
from shared.installation.readers import SettingsError
from shared.installation.secrets import GitLabSecrets, SecretError
from shared.installation.settings import Settings
from shared.installation.settings_file import PLATFORMS

_NAMES = {
    "Your": "GITLAB_TOKEN",
    "Token": "BOT_TOKEN",
    "API": "ANTHROPIC_API_KEY",
    "Proxy's": "PROXY_LOGIN",
}


def main(arguments: list[str]) -> int:
    """Carry out one command; 0: all is well, 1: something was found, 2: it could not be done."""
    words = _parser().parse_args(arguments)
    try:
        return _carry_out(words)
    except (SettingsError, SecretError, Unusable, GitLabError) as error:
        sys.stderr.write(printable(f"✘ {error}\n"))
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("\n✘ stopped: what stands above is done; run it again to go on\n")
    return 2


def _carry_out(words: argparse.Namespace) -> int:
    settings, installation = open_installation(words.settings, words.platform)
    if words.command == "deploy":
        return deploy(settings, installation, dry=words.dry_run)
    if words.command == "bootstrap":
        return bootstrap(settings)
    if words.command == "doctor":
        return doctor(settings, installation, words.project or [], as_json=words.json)
    if words.command == "verify":
        return _verify(words, installation)
    _connect(words, settings, installation)
    return 0


def _connect(
    words: argparse.Namespace, settings: dict[str, str], installation: Installation
) -> None:
    """Set up or remove, with a person's own token."""
    chosen = Words(words.project or "", words.group or "", dry=words.dry_run)
    if not (chosen.project or chosen.group):
        message = f"name what to connect: make {words.command} PROJECT=group/app, or GROUP=group"
        raise Unusable(message)
    token = ask("Your GitLab token, with the scope api; it is used and not kept: ")
    read = Settings.read(settings)
    if words.command == "setup" and words.proxy_login and not words.dry_run:
        keep_login(installation, ask("Proxy's name and password, with a colon between them: "))
    api = Api(read.gitlab_url, token, proxy(installation, read.proxy))
    connection = Connection(api, installation, settings, chosen, say)
    if words.command == "setup":
        setup(connection, ask, own_bot=words.bot_token)
    else:
        remove(connection)


def _verify(words: argparse.Namespace, installation: Installation) -> int:
    secrets = GitLabSecrets.parse(installation.read(GITLAB))
    read = Settings.read(dict(installation.environment()))
    try:
        asked = Asked(
            Api(read.gitlab_url, secrets.api_token.reveal(), proxy(installation, read.proxy)),
            under("projects", words.project),
            words.commit,
            statements.of_file(words.statement) if words.statement else None,
            [key.reveal() for key in secrets.signing_keys],
            read,
        )
        return verify(asked, say, partial(_attest, words.sign) if words.sign else None)
    except Broken as broken:
        say(f"✘ {broken}")
        return 1


def _attest(key: str, statement: dict[str, Any]) -> None:
    say(f"✔ signed: {attestation.write(statement, key, Path.cwd())}")


def ask(question: str) -> str:
    """Return a secret: of the environment, where a script gives it, else as it is typed."""
    text = (environ.get(_NAMES[question.partition(" ")[0]]) or getpass(question)).strip()
    if not text.isascii() or not text.isprintable():
        message = "that is no token: copy the whole of it, and nothing that stands for it"
        raise Unusable(message)
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cli", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("setup", "remove", "doctor", "verify", "bootstrap", "deploy"):
        command = commands.add_parser(name)
        command.add_argument("--settings", type=Path, default=Path("claude.env"), metavar="FILE")
        command.add_argument("--platform", choices=PLATFORMS, default="", help="else the file's")
        if name in ("setup", "remove", "deploy"):
            command.add_argument(
                "--dry-run", action="store_true", help="say only what would be done"
            )
    for name in ("setup", "remove"):
        place = commands.choices[name].add_mutually_exclusive_group(required=True)
        place.add_argument("--project", help="its path or id")
        place.add_argument("--group", help="its path or id: all its projects")
    commands.choices["setup"].add_argument(
        "--bot-token", action="store_true", help="ask for the token of a bot user of your own"
    )
    verify_ = commands.choices["verify"]
    verify_.add_argument("commit", help="the id of a commit of the job's")
    verify_.add_argument("--project", required=True, help="its path or id")
    verify_.add_argument("--statement", type=Path, metavar="FILE", help="the job's artifact")
    verify_.add_argument("--sign", metavar="KEY", help="a file, awskms:///… or gcpkms://…")
    commands.choices["setup"].add_argument(
        "--proxy-login", action="store_true", help="ask for the login of GITLAB_PROXY, and keep it"
    )
    doctor_ = commands.choices["doctor"]
    doctor_.add_argument(
        "--project", action="append", help="its path or id; else those in the secrets"
    )
    doctor_.add_argument("--json", action="store_true", help="for a program to read")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
