"""Tests, proofs and what they share; `tests/shared/…` mirrors `shared/…`, and so on."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
