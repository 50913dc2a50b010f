"""Source rows as keyed, timed, typed rows: the first half of every compilation. Start reading at ``source_rows.py``."""
