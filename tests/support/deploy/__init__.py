"""What the deploy descriptors are tested with: the template, an AWS emulator, the build file, Google's commands."""
