"""Registries that other people keep: their versions become ours, and their alias follows what answers. Start reading at ``follower.py``."""
