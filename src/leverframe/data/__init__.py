"""Rows become checked, immutable snapshots; labels arrive late.

Takes: files of rows and data contracts (ODCS).
Gives: snapshots, contract reports, quarantined rows.
Never: a snapshot that was not checked; a value of a personal column in a message.
Start reading at: ``contract/contracts.py``, then ``checks/checks.py``
"""
