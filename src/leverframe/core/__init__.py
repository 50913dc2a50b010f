"""What the rooms hand to each other: frozen records, ids, schema, statistics, errors, the clock's shape.

Takes: nothing.  Gives: records and pure functions.  Never: I/O, a wall clock, randomness, a driver.
Start reading at: ``model.py`` (a version), ``route.py`` (who answers whom), ``prediction.py`` (what was answered).
"""
