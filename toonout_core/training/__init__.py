"""Training loops, one a file; each is driven by a dataclass that is written beside its results."""
