"""The bounds of the gRPC door, and what happens at each."""

import msgspec


class GrpcLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the gRPC door; what happens at each bound stands behind it."""

    message_bytes_max: int = 8_388_608  # RESOURCE_EXHAUSTED, also for a message that is larger once decompressed
    metadata_bytes_max: int = 16_384  # RESOURCE_EXHAUSTED
    calls_max: int = 1024  # calls under way over all connections: RESOURCE_EXHAUSTED
    streams_max: int = 128  # calls under way on one connection: the client waits
    connections_max: int = 4096  # closed at once
    receive_s_max: float = 10.0  # from a call's head to the end of its message: cancelled
    handshake_s_max: float = 10.0  # a connection that does not begin to speak HTTP/2: closed
    idle_s_max: float = 300.0  # a connection without calls: told to go, closed; clients connect again by themselves
    age_s_max: float = 3600.0  # so that callers spread over workers anew: told to go
    age_grace_s: float = 10.0  # calls under way on such a connection may finish
    ping_s_min: float = 10.0  # a client that pings more often between its calls is cut off (ENHANCE_YOUR_CALM)
    silent_s_max: float = 30.0  # nothing heard of a client: pinged, and closed if that is not answered in 10 s
    stop_grace_s: float = 10.0  # calls under way at SIGTERM may finish
