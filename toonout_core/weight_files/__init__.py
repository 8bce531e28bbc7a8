"""From a name to verified bytes: look, download, check, and read without running code."""
