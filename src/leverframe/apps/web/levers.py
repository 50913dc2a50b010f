"""The operator's levers, by the names both doors use, and the times that a form offers for them."""

from leverframe.core.clock import DAY_US, HOUR_US

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

TIMED_LEVERS = ("pin", "kill", "disable-feature", "freeze")
"""Those that may put themselves back after a while; a fallback may, too."""

SPANS_US = {"": 0, "1h": HOUR_US, "4h": 4 * HOUR_US, "1d": DAY_US, "7d": 7 * DAY_US}
"""Times after which a lever puts itself back; the first: somebody does."""
