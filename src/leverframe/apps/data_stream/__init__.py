"""The reader of a stream into a dataset: a process between a broker and the control API, which has neither a database nor a key of its own.

Takes an address, a token and what was declared. Gives batches to the control plane, which checks and keeps them with the position they
reach. Never holds more than one batch, never acknowledges anything, never decides what a good row is. Start reading at ``reader.py``.
"""
