"""The online store at an address: a Redis server, or with no address the LMDB folder of the installation."""

from pathlib import Path
from typing import TYPE_CHECKING

from leverframe.core.errors import InvalidInput, Unavailable
from leverframe.features.online.online import OnlineStore
from leverframe.features.online.online_feast import FeastOnlineStore, FeastRedisRows, FeastSqliteRows, read_feast_store
from leverframe.features.online.online_guarded import TIMEOUT_S, GuardedOnlineStore
from leverframe.features.online.online_lmdb import LmdbOnlineStore

if TYPE_CHECKING:
    from leverframe.features.online.online_redis import RedisOnlineStore

REDIS = ("redis://", "rediss://", "unix://")
FEAST = "feast:"
WRITE_TIMEOUT_S = 10.0
"""A write sends thousands of rows in one command."""


def open_for_reading(url: str, folder: Path, timeout_s: float = TIMEOUT_S) -> LmdbOnlineStore | GuardedOnlineStore:
    """What a gateway reads: a Redis server behind timeouts and a circuit breaker; for an empty ``url`` the LMDB store in ``folder``.

    ``feast:FILE`` reads Feast's own store in place, as the file says that ``lever features import feast`` has written.

    Raises
    ------
    InvalidInput: another kind of address.    Unavailable: the Redis client is not installed. A server that is down is no error.
    """
    if url.startswith(FEAST):
        return GuardedOnlineStore(_feast(Path(url.removeprefix(FEAST)), timeout_s))
    return GuardedOnlineStore(_redis(url, timeout_s)) if url else LmdbOnlineStore(folder, read_only=True)


def open_for_writing(url: str, folder: Path) -> OnlineStore:
    """What features are written to; raises as :func:`open_for_reading` does. Feast's is never written: LMDB is."""
    if url.startswith(FEAST):
        return LmdbOnlineStore(folder)
    return _redis(url, WRITE_TIMEOUT_S) if url else LmdbOnlineStore(folder)


def _feast(file: Path, timeout_s: float) -> FeastOnlineStore:
    """Feast's store, as ``file`` describes it; a relative path of a SQLite file counts from the file's folder."""
    store = read_feast_store(file)
    if store.kind == "redis":
        return FeastOnlineStore(FeastRedisRows(_redis(store.address, timeout_s), store.project), store.views)
    return FeastOnlineStore(FeastSqliteRows(file.parent / store.address, store.project), store.views)


def _redis(url: str, timeout_s: float) -> "RedisOnlineStore":
    if not url.startswith(REDIS):
        raise InvalidInput("no such online store", where="LEVER_ONLINE_URL", expected=" or ".join(REDIS), got=url.partition(":")[0][:20])
    try:
        from leverframe.features.online.online_redis import RedisOnlineStore
    except ImportError as error:
        raise Unavailable(
            "the Redis client is not installed",
            where="LEVER_ONLINE_URL",
            expected="the extra 'redis'",
            next_step="install leverframe[redis]",
        ) from error
    return RedisOnlineStore.at(url, timeout_s)
