"""The feed of an address; a broker's driver is loaded only where it is needed."""

from leverframe.apps.streaming.address import Address
from leverframe.apps.streaming.feed import Feed
from leverframe.core.errors import Unavailable


def open_feed(address: Address) -> Feed:
    """The feed of an address; not connected yet.

    Raises
    ------
    Unavailable: the drivers are not installed.
    """
    try:
        if address.kind == "nats":
            from leverframe.apps.streaming.feed_nats import NatsFeed

            return NatsFeed(address)
        if address.kind == "redis":
            from leverframe.apps.streaming.feed_redis import RedisFeed

            return RedisFeed(address)
        from leverframe.apps.streaming.feed_kafka import KafkaFeed

        return KafkaFeed(address)
    except ImportError as error:
        raise Unavailable(
            "streams are not installed", where=address.kind, got=str(error)[:200], next_step="pip install 'leverframe[stream]'"
        ) from error
