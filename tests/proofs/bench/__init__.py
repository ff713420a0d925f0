"""What users pay in time and memory, beside the least that does anything."""
