"""The online store that a gateway reads, by its address."""

from pathlib import Path

from leverframe.core.errors import InvalidInput, Unavailable
from leverframe.features.online_guarded import TIMEOUT_S, GuardedOnlineStore
from leverframe.features.online_lmdb import LmdbOnlineStore

REDIS = ("redis://", "rediss://", "unix://")


def open_for_reading(url: str, folder: Path, timeout_s: float = TIMEOUT_S) -> LmdbOnlineStore | GuardedOnlineStore:
    """The Redis server at ``url``, guarded by timeouts and a circuit breaker; for an empty ``url`` the LMDB store in ``folder``.

    Raises
    ------
    InvalidInput: another kind of address.    Unavailable: the Redis client is not installed. A server that is down is no error.
    """
    if not url:
        return LmdbOnlineStore(folder, read_only=True)
    if not url.startswith(REDIS):
        raise InvalidInput("no such online store", where="LEVER_ONLINE_URL", expected=" or ".join(REDIS), got=url.partition(":")[0][:20])
    try:
        from leverframe.features.online_redis import RedisOnlineStore
    except ImportError as error:
        raise Unavailable(
            "the Redis client is not installed",
            where="LEVER_ONLINE_URL",
            expected="the extra 'redis'",
            next_step="install leverframe[redis]",
        ) from error
    return GuardedOnlineStore(RedisOnlineStore.at(url, timeout_s))
