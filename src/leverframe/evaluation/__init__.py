"""Is it good enough, and for whom.

Takes: scores, labels, slices, gate rules.
Gives: metrics with intervals, verdicts, a model card.
Never: an exception for a failed gate.
Start reading at: ``gates.py``
"""
