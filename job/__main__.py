"""Start the job and end with its exit code."""

import sys

from job.run import main

sys.exit(main(sys.argv[1:]))
