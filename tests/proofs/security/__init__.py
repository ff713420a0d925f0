"""The proofs of `make security`: hostile input in great number; in small, test_security.py."""
