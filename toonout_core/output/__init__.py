"""Write results to files: names, formats, folders, manifests, reports, clips. Nothing is
overwritten.
"""
