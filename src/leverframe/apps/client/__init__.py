"""The Python client. Start reading at ``client.py``; each area has a file of its own."""

from leverframe.apps.client.client import Client

__all__ = ["Client"]
