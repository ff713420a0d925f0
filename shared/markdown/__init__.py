"""What a reader sees of GitLab Flavored Markdown."""
