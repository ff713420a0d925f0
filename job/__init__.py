"""The program that runs inside the CI job. It needs Python 3.9 and its standard library only."""
