"""Batch scoring on the machine it is asked on: ``lever score``.

Takes: files or a snapshot, and an installation's home.  Gives: part files, a manifest, and scores in the online store if asked.
Never: opens a file for a server. Start reading at: ``job.py``, ``files.py``, ``features.py``, ``online.py``, ``tables.py``.
"""
