"""A copy of an installation from which it can be made again: taken while it runs, checked byte by byte, restored into an empty folder.

Takes the folder of an installation. Gives a folder with the ledger, the artifacts, keys and what is published, under one signed manifest.
Never changes what is copied, never restores over anything. Start reading at ``take.py``.
"""
