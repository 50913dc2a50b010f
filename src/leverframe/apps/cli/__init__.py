"""The ``lever`` command: every use case from a terminal.

Takes: argv, ``LEVER_HOME``/``LEVER_URL``/``LEVER_TOKEN``.  Gives: tables or JSON, an exit code with a meaning.
Never: a heavy import before a command needs it (``lever --help`` answers at once).  Start reading at: ``main.py``.
"""
