"""The Open Inference Protocol as values: documents and tensors in, named outputs out, one request and one response as bytes.

Takes  bytes and signatures.    Gives  documents, columns, rows, outputs.    Never  a socket, a route, a model.
Start reading at  ``oip.py``.
"""
