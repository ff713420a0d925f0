"""One machine: an HTTP server, SQLite, threads. For the demo, tests and small installations."""
