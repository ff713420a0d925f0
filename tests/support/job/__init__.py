"""Stand-ins and tools for the tests of the CI job: a model API, STS, a runner, a clone."""
