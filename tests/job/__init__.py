"""Tests of the CI job, with stand-ins for the model API, STS and a runner."""
