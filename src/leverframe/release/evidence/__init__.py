"""What was seen, and what it says: rows, sequences, verdicts. Start reading at ``evidence.py``, then ``judge.py``."""
