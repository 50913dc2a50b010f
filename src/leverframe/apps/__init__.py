"""One file, one process or front door.

Takes: argv, environment variables, HTTP, JSON.
Gives: the seven rooms, wired together.
Never: a rule of the domain: those live in the rooms.
Start reading at: ``wiring.py``
"""
