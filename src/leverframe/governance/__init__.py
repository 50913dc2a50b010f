"""Who did what to which bytes, and was it allowed.

Takes: commands from people and from the platform; bytes from the rooms.
Gives: receipts, history, verified bytes, decisions with policy ids.
Never: a state change without an audit entry; a path or a URL from a client.
Start reading at: ``ledger/store.py``
"""
