"""The one way out: everything the platform sends to somebody else's server goes through here.

Takes messages and an operator's list of hosts; gives signed deliveries, at least once and in order. Never follows a redirect, never asks an
environment variable for a proxy, never connects to an address inside the network that the operator did not name. Start at ``client.py``.
"""
