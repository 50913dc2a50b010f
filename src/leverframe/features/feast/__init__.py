"""Coming from Feast: its definitions become ours. Start reading at ``feast_import.py``."""
