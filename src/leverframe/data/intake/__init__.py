"""From whatever is offered to rows that can be checked. Start reading at ``sources.py``, then ``ingest.py``."""
