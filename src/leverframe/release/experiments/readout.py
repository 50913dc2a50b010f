"""What an experiment says at one look. The split of callers comes first: while it is not as declared, no lift is shown."""

import msgspec

from leverframe.core.verdict import Verdict


class ArmReadout(msgspec.Struct, frozen=True, kw_only=True):
    """One arm. ``gain`` is the difference to the control, positive when it is *better*; None for the control, and while nothing is known.

    ``rows`` are the requests that the primary metric rests on, ``mean`` is theirs. ``standing`` says what the interval says: ``better`` and
    ``worse`` exclude 0, ``futile`` excludes every gain that matters. ``more_us`` is about how much longer until the interval decides,
    ``more_keys`` how many more callers that takes; None: nobody can tell.
    """

    version: str
    keys: int
    answers: int
    failed: int
    rows: int
    mean: float | None
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    standing: str = ""
    more_keys: int | None = None
    more_us: int | None = None


class SegmentReadout(msgspec.Struct, frozen=True, kw_only=True):
    """A variant's gain among callers of one segment. ``stands``: it is told from 0 although so many segments were looked at (e-BH)."""

    column: str
    value: str
    version: str
    keys: int
    gain: float | None
    low: float | None
    high: float | None
    stands: bool


class ExposureCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read. Only answers to callers who took part count; the rest is here so that nothing is left unexplained.

    ``outside``: answers to callers who take no part. ``outdated``: answers after the start by gateways that had an older route yet.
    ``misassigned``: answers of another arm than the caller's hash says. ``foreign``: answers of versions that are no arm.
    """

    answers: int = 0
    outside: int = 0
    outdated: int = 0
    misassigned: int = 0
    foreign: int = 0
    duplicates: int = 0
    keys: int = 0
    keys_left_out: int = 0
    labels: int = 0
    labels_late: int = 0
    unlabelled: int = 0
    dropped: int = 0
    first_at_us: int = 0
    last_at_us: int = 0


class Readout(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one look.

    ``hidden`` is why no lift is shown, or empty. ``segment_alpha`` is the level of the segments' intervals after correction.
    """

    experiment: str
    at_us: int
    split: Verdict
    hidden: str
    arms: tuple[ArmReadout, ...]
    guardrails: tuple[Verdict, ...]
    segments: tuple[SegmentReadout, ...]
    segment_alpha: float
    counts: ExposureCounts
    alpha_variant: float
