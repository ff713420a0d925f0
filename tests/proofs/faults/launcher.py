"""The local platform in a hurry: GitLab settles in seconds, so that 200 kills fit into minutes.

What a GitLab does not have is not waited for either.

Run as a program only. Nothing else of the platform is touched.
"""

import sys

from shared.runs import record

SETTLE = 3.0  # seconds; the stand-in ends every call within milliseconds
HEARD = 3.0  # seconds; the stand-in is one machine and hears of all at once

if __name__ == "__main__":
    record.SETTLE, record._HEARD = SETTLE, HEARD  # before `dispatch` is imported
    from functions.local.handlers import main

    sys.exit(main())
