"""Rows that come as messages: checked as they come, kept a part at a time. Start reading at ``taken.py``, then ``batch.py``."""
