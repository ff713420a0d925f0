"""The proof that nothing is lost and nothing doubled: `make faults` runs all of it, `tests/proofs/test_faults.py` a part."""
