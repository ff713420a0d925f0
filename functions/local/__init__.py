"""One machine: an HTTP server, SQLite and threads. The default for the demo, tests and small installations."""
