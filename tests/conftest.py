"""Fixtures: the three platforms, each in front of its own GitLab stand-in."""
