"""How far a registered source was read into a dataset: moved in the transaction that records the rows, so that neither is lost alone."""

import msgspec

KIND_MARK = "source-mark"


class SourceMark(msgspec.Struct, frozen=True, kw_only=True):
    """``position`` is what the source's kind understands: a watermark as text, or the stamps of objects read, by name."""

    source: str
    dataset: str
    position: str = ""
    objects: dict[str, str] = {}

    @property
    def id(self) -> str:
        """Its name in the ledger."""
        return f"{self.dataset}/{self.source}"
