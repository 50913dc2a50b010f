"""The ledger's schema history, one file a step; run by ``migrate.py`` whenever a ledger is opened."""
