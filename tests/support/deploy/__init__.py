"""What the deploy descriptors are tested with: template, build file, AWS emulator, fake gcloud."""
