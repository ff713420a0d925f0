"""What one installation is set to: settings, secrets, model provider."""
