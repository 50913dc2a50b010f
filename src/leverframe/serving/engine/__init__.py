"""Model versions ready to answer: loaded and proven on their golden rows, and the lanes of those that take long.

Takes  verified bundle files.    Gives  scores of matrices.    Never  a format that can carry code, in this process.
Start reading at  ``models.py``; engines are in ``serving/runtimes``.
"""
