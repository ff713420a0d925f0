"""`python -m functions.local`: serve; with an argument carry out one task of shared/sweep.py."""

import sys

from functions.local.handlers import main

sys.exit(main(*sys.argv[1:2]))
