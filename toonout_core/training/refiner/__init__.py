"""Training of the network that sharpens masks."""
