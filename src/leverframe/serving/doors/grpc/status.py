"""Refusals as gRPC tells them: a status, the error's one sentence, and the whole error in the trailers.

``lever-code`` is the error's code; ``lever-error-bin`` the JSON document that the REST door would have sent as its body.
"""

from collections.abc import Mapping

import msgspec

from leverframe.core.errors import LeverframeError

STATUS_OF_CODE: Mapping[str, int] = {
    "invalid_input": 3,  # INVALID_ARGUMENT
    "contract_violation": 3,
    "schema_mismatch": 3,
    "limit_exceeded": 8,  # RESOURCE_EXHAUSTED
    "unauthenticated": 16,  # UNAUTHENTICATED
    "forbidden": 7,  # PERMISSION_DENIED
    "not_found": 5,  # NOT_FOUND
    "conflict": 10,  # ABORTED
    "refused": 9,  # FAILED_PRECONDITION
    "integrity": 14,  # UNAVAILABLE
    "unavailable": 14,
    "overloaded": 14,
    "quota_exceeded": 8,
    "deadline_exceeded": 4,  # DEADLINE_EXCEEDED
    "internal": 13,  # INTERNAL
}
"""The gateway's table from error code to gRPC status (google.rpc.Code). What may be asked again is UNAVAILABLE: clients repeat that."""
DETAILS_CHARS_MAX = 1500
"""A longer sentence is cut: it travels as a header, and clients take 8 KiB of those."""
ERROR_BYTES_MAX = 4096
"""A longer error document is left out; the sentence and the code stay."""


def failure(error: LeverframeError, example: object = None) -> tuple[int, str, tuple[tuple[str, str | bytes], ...]]:
    """Status, sentence (with a correct request behind it, when there is one and it fits) and trailers of ``error``."""
    document, details = error.to_dict(), error.sentence()
    if example is not None:
        shown = f"{details} Example: {msgspec.json.encode(example).decode()}"
        details = shown if len(shown) <= DETAILS_CHARS_MAX else details
        document["example"] = example
    packed = msgspec.json.encode(document)
    trailers: tuple[tuple[str, str | bytes], ...] = (("lever-code", error.code),)
    if len(packed) <= ERROR_BYTES_MAX:
        trailers += (("lever-error-bin", packed),)
    return STATUS_OF_CODE.get(error.code, 13), details[:DETAILS_CHARS_MAX], trailers
