"""A GitLab that lives in the test process: stateful, scriptable, and checked against GitLab's own
API file.
"""
