"""What runs here, told to any OpenLineage collector: ingest, materialisation, training and releases as run events.

Takes audit entries and what the ledger and the bundles know of them; gives events of the specification 2-0-2. Start at ``events.py``.
"""
