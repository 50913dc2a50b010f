"""Features by entity in the request path, and what a value that lacks becomes.

Takes  request columns and an online store.    Gives  values with their age, or the declared policy of what is missing, stale, unreachable.
Start reading at  ``lookup.py``.
"""
