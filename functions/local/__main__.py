"""`python -m functions.local`: run the local platform."""

import sys

from functions.local.handlers import main

sys.exit(main())
