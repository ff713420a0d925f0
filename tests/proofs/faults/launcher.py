"""The local platform in a hurry: GitLab settles in seconds, so that 200 kills fit into minutes.

Run as a program only. Nothing else of the platform is touched.
"""

import sys

from shared.runs import record

SETTLE = 3.0  # seconds; the stand-in ends every call within milliseconds

if __name__ == "__main__":
    record.SETTLE = SETTLE  # before `dispatch` is imported
    from functions.local.handlers import main

    sys.exit(main())
