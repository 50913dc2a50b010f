"""Checked rows kept for good, as content-addressed parts. Start reading at ``snapshots.py``."""
