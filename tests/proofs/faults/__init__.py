"""The proof that nothing is lost and nothing doubled: `make faults`; in part, test_faults.py."""
