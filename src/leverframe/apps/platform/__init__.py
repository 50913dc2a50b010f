"""The platform's use cases: what the control API, the console and the worker may ask the seven rooms to do together.

One file a room of use cases; ``parts.py`` holds what they share, ``platform.py`` is the whole. No HTTP here and no printing.
"""
