"""Who looks at releases under way, and what the evidence means for them. Start reading at ``decide.py``, then ``controller.py``."""
