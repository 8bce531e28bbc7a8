"""Nodes by topic; each is a schema and a few lines around `toonout_core`."""
