"""GitLab's REST API through python-gitlab, as the core's port asks for it."""
