"""`python -m toonout_core` is `toonout`."""

from .cli import entry

if __name__ == "__main__":
    raise SystemExit(entry())
