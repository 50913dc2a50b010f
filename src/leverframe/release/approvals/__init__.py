"""Whose yes counts, and who looks afterwards. Start reading at ``approvals.py``."""
