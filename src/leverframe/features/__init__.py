"""One definition, used offline and online.

Takes: feature views and source rows.
Gives: timelines, point-in-time training sets, online values, freshness.
Never: two code paths for one feature; a row dropped from a training set.
Start reading at: ``declared/definitions.py``, then ``timelines/timeline.py``
"""
