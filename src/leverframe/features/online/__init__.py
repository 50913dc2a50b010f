"""The newest values by entity, read in microseconds. Start reading at ``online.py``."""
