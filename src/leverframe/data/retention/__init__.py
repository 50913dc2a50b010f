"""What is kept how long, and what goes: by age, or by a person's wish. Start reading at ``retention.py``, then ``erasure.py``."""
