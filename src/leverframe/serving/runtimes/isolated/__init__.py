"""Any MLflow pyfunc in a process of its own, locked down before one byte of the model is read (decision 0011).

Takes: a signed bundle's ``isolated.json`` and ``pyfunc/`` files; columns of numbers and text.
Gives: scores ``[rows, k]``, or an error that concerns this model alone.
Never: a start without every lock in place; the model's files opened in the gateway; bytes from the child given to a parser.
Start reading at: ``host.py``. ``child.py``, ``lockdown.py``, ``landlock.py``, ``seccomp.py``, ``frames.py``, ``arrow.py`` run in the child.
"""
