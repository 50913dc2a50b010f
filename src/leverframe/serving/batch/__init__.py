"""Files of rows scored with the bits of the online answers; every part finished once, over ``kill -9``.

Start reading at  ``run.py``.
"""
