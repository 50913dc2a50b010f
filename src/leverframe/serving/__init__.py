"""One request, bounded in time and memory.

Takes: a signed route table, bundles, online features, requests.
Gives: answers, and a prediction log that adds up.
Never: the control database; a pickle; an unbounded anything.
Start reading at: ``door.py``, then ``inference.py``
"""
