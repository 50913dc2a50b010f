"""Suites that other tools check rows by, as contracts; what has no counterpart is named with its reason. Start reading at ``claims.py``."""
