"""What tests share: fakes, stages, stand-ins, platforms."""
