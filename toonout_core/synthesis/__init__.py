"""Making pictures of known alpha: characters laid over backgrounds."""
