"""What a team declares, and what changing it breaks. Start reading at ``definitions.py``."""
