"""Where requests come in: permission, quotas, dispatch, and each protocol's form of asking and answering.

Takes  whole requests (REST, MLflow, gRPC).    Gives  responses; every refusal has one shape.    Never  scores by itself.
Start reading at  ``door.py``.
"""
