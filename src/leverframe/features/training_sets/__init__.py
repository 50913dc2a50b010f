"""What could have been known, question by question, at any size. Start reading at ``point_in_time.py``."""
