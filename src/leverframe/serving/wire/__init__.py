"""HTTP/1.1 on a socket, every bound held before bytes are kept or parsed.

Takes  connections.    Gives  whole requests to a handler, and its answers back in order.    Never  looks into a body.
Start reading at  ``http.py``.
"""
