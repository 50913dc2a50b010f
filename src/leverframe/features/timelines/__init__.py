"""A view's values with the moments from which they hold, in batch and on a stream. Start reading at ``timeline.py``."""
