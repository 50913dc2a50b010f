"""Engines that score a matrix, one file an engine.

Takes: a model file's bytes (data only: ONNX, LightGBM text).
Gives: scores for float64 matrices.
Never: a format that can carry code; a file outside the bundle.
Start reading at: ``onnx.py``
"""
