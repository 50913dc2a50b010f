"""Recipe + training set become a candidate.

Takes: a model spec, a training set, a seed.
Gives: a signed, content-addressed bundle with its lineage.
Never: a pickle; a run that cannot be repeated.
Start reading at: ``pipeline.py``
"""
