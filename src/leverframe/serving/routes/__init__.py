"""Who answers whom: the published route table verified, compiled into one immutable object, swapped by one assignment.

Takes  signed tables and bundles.    Gives  compiled endpoints, sticky arms.
Start reading at  ``tables.py``.
"""
