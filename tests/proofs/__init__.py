"""Programs that prove a promise in great number; `make test` runs them in samples."""
