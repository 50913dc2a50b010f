"""Learners behind one small shape: a matrix and labels in, a model that is plain data out.

Takes: a float64 matrix, labels, bounded parameters, a seed.
Gives: a model as text, the same bytes on every run.
Never: a pickle; a parameter that reads or writes a file.
Start reading at: ``lightgbm.py``
"""
