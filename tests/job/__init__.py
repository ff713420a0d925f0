"""Stand-ins and tools for the tests of the CI job: model API, STS, a runner; none of them is a fake of the job."""
