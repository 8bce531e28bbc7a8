"""ToonOut: cut anime and cartoon characters out of pictures."""

__version__ = "0.1.0"
