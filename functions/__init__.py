"""Where the core meets the world: one folder per platform, and the GitLab client they share."""
