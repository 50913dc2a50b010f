"""What a plan must be able to show before it runs, as facts that the policy decides on. Start reading at ``facts.py``."""
