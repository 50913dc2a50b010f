"""A plan being carried out, and the arms it gives its endpoint. Start reading at ``rollout.py``, then ``routes.py``."""
