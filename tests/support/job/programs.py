"""Shell scripts that stand in for the programs of the job's image."""

from pathlib import Path


def program(path: Path, script: str) -> Path:
    """Write an executable shell script; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
