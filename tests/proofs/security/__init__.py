"""The proofs of `make security`: hostile input in numbers, and the page SECURITY.md. `tests/proofs/test_security.py` is its quick form."""
