"""Answer requests over HTTP: what the WebUI's routes and `toonout serve` have in common.

Only the modules that make routes need FastAPI: `admission`, `routes`, `rembg` and `app`.
"""
