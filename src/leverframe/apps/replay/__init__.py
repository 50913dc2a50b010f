"""Replay: recorded rows lived through again in event time, against the real gateway over real HTTP, as fast as the machine allows.

``feeds.py`` delivers source rows to the online store when they arrive, ``load.py`` speaks HTTP, ``driver.py`` keeps everybody in step.
"""
