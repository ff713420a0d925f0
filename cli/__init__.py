"""The operator's program: connect a project, find what is wrong, take it away again, deploy."""
