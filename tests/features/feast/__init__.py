"""A small Feast repository, and what a real Feast made of it."""
