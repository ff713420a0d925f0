"""Start the job and end with its exit code; it holds no logic."""

import sys

from job.run import main

sys.exit(main(sys.argv[1:]))
