"""From a wish to a plan, and from an approved plan to a release. Start reading at ``planning.py``."""
