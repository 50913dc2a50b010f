"""Is the world still the one we trained on.

Takes: the prediction log, reference profiles, freshness.
Gives: signals, grouped alerts, ranked causes.
Never: a threshold nobody derived.
Start reading at: ``windows.py``
"""
