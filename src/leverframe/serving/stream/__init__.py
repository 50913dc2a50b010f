"""Messages of a broker scored like online requests, once by prediction id.

Start reading at  ``scorer.py``.
"""
