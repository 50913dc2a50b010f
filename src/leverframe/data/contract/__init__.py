"""What a team promises about a dataset: from an ODCS file, or a draft, to one compiled record. Start reading at ``contracts.py``."""
