"""Folders of cutouts made into data sets: split, checked, turned into mattes."""
