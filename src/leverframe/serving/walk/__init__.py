"""The walk of one inference, from document to answer, knowing no protocol.

Takes  a document and a compiled endpoint.    Gives  an answer, at once or later, its record in the log before it.
Start reading at  ``inference.py``.
"""
