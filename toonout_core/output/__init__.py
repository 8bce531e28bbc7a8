"""Results to files: names, formats, folders, manifests, reports, clips; nothing overwritten."""
