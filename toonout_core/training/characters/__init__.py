"""Training of the head that tells characters apart (Panoptic-DeepLab, arXiv:1911.10194)."""
