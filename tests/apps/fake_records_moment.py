"""The moment at which all plausible records stand, and names made of words."""

from leverframe.core.clock import us_from_iso
from leverframe.core.digest import digest_bytes

NOW_US = us_from_iso("2013-06-14T09:30:00Z")


CARRIERS = ("UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E")


def digest(text: str) -> str:
    return digest_bytes(text.encode())
