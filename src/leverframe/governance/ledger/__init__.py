"""The control plane's memory: records with their history, changed only by authorised commands, each leaving a chained audit entry.

Takes: commands with an actor and an idempotency key.  Gives: receipts, records as of any moment, the audit chain.
Never: a change without an entry; an acknowledgement before the commit is on disk.
Start reading at: ``store.py``; its in-memory twin is ``memory.py``; what both do alike is ``carry_out.py``.
"""
