"""The program that runs inside the CI job: standard library only, for the Python (3.9 or later) that images bring."""
