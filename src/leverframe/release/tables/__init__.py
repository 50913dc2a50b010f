"""Batch tables: which scored output the readers of a table see; a new version is compared on the same batch before they see its answers.

Takes: outputs of batch scoring, and what was seen of two of them side by side.  Gives: a table's pointer, with a way back.
Never: scores or reads a file.  Start reading at: ``records.py``, ``comparison.py``, ``limits.py``, ``planning.py``, ``switching.py``.
"""
