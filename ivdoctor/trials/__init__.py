"""Trying remedies for real: the only place that casts, retries and compares. Runs in rooms."""
