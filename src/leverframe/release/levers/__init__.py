"""What an operator may do to an endpoint at any moment, each with a reason and an end. Start reading at ``operate.py``."""
