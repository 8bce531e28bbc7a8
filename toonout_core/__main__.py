"""`python -m toonout_core` is `toonout`."""

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
