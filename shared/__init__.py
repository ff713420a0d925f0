"""The core: rules and use cases, the same on every platform; no I/O, no cloud SDK."""
