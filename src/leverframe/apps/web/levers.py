"""The operator's levers, by the names both doors use."""

LEVERS = (
    "pin",
    "unpin",
    "kill",
    "unkill",
    "disable-feature",
    "enable-feature",
    "freeze",
    "unfreeze",
    "pause",
    "resume",
    "abort",
)
