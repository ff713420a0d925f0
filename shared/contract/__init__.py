"""What the trigger and the job say to each other; Python 3.9 and its standard library only."""
