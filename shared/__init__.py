"""The core: rules and use cases without I/O and without cloud SDKs, the same on AWS, Google Cloud and one machine."""
