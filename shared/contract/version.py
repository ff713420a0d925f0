"""The version of trigger and job, which a release gives both."""

VERSION = "0.2.0"
