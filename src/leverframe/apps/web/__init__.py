"""What the API and the console share of HTTP: bounded bodies, event streams, how an endpoint declares its permission.

Takes: requests.  Gives: pieces for ``control`` and ``console``.  Never: an address of its own.  Start reading at: ``endpoint.py``.
"""
