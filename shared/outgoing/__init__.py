"""What leaves for GitLab: the trigger call's body, its context, replies; and what answers mean."""
