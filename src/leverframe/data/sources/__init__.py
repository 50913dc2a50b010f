"""Where rows come from: files as bytes, and sources that a team has registered under what the operator allows.

Takes: bytes, a registered source and how far it was read.  Gives: frames, batch by batch, each bounded.
Never: an address or a path from whoever asks; a value of a row in a message.
Start reading at: ``registered.py``, then ``files.py``
"""
