"""Request-time expressions: row SQL over request fields and looked-up features, as functions of one row and of columns.

Takes SQL text and the request's fields. Gives a compiled expression, the same value of a row alone and among others.
Never evaluates text, looks at another row, or fails on a row: what cannot be computed is missing.
Decision 0039. Start reading at ``tree.py``, then ``reading.py``.
"""
