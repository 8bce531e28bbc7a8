"""From a name to verified bytes: looking, downloading, checking, reading without running code."""
