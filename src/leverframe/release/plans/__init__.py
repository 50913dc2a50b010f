"""What will happen, written down before it happens, and named by its digest. Start reading at ``plan.py``."""
