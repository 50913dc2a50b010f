"""Timelines brought into the online store, in parts that can be lost and done again. Start reading at ``materialize.py``."""
