"""Rows held against a contract, on every engine by one list of rules. Start reading at ``rules.py``, then ``checks.py``."""
