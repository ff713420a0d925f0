"""GitLab as the core sees it: the port's protocol and the values that cross it."""
