"""What the use cases of registered sources take."""

import msgspec


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fetch what is new in ``source`` (``full``: all of it); ``pattern`` names objects of an object store.

    ``take_over`` ends a fetch into the same dataset that is under way.
    """

    source: str
    pattern: str = ""
    full: bool = False
    take_over: bool = False
