"""Measure: metrics on mattes, test sets of known alpha, baselines."""
