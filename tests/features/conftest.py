"""What pytest must leave alone here: a Feast repository is read by a Python of its own, which has Feast."""

collect_ignore = ["feast"]
