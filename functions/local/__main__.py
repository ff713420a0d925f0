"""`python -m functions.local`: run the local platform, or with an argument carry out one order of shared/sweep.py."""

import sys

from functions.local.handlers import main

sys.exit(main(*sys.argv[1:2]))
