"""What a worker counts and measures of itself, alone and in a fleet.

Takes  plain integers on the hot path.    Gives  merged counts, Prometheus text, stages of traced requests, whether to shed.
Start reading at  ``counts.py``.
"""
