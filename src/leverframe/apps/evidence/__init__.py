"""Evidence packs: all that a release was decided on, in one folder that anybody can check with Python and the public key alone.

Start reading at ``pack.py`` for what is in one, and at ``verify.py`` for what is checked.
"""
