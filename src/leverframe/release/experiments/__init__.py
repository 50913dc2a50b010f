"""Experiments: which version is better for callers, and by how much, told by callers who were assigned by chance."""
