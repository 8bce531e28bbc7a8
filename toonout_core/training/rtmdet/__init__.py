"""Training of the detector of characters."""
