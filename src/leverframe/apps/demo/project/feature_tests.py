"""What the flight-delay project's views must give, by hand: run with ``lever features test``, on every engine."""

from leverframe.core.feature_example import FeatureTest

WINDOWS = FeatureTest(
    name="a departure counts from the minute it leaves until its window has passed over it",
    view="origin_delays",
    rows=(
        {"origin": "JFK", "departed_at": "2013-01-01T10:00:00Z", "dep_delay": 30.0},
        {"origin": "JFK", "departed_at": "2013-01-01T11:30:00Z", "dep_delay": -4.0},
        {"origin": "LGA", "departed_at": "2013-01-01T11:30:00Z", "dep_delay": 90.0},
    ),
    asked=(
        {"origin": "JFK", "at": "2013-01-01T09:59:59Z"},
        {"origin": "JFK", "at": "2013-01-01T11:30:00Z"},
        {"origin": "JFK", "at": "2013-01-01T12:00:00Z"},
        {"origin": "JFK", "at": "2013-01-01T13:30:00Z"},
        {"origin": "EWR", "at": "2013-01-01T12:00:00Z"},
    ),
    expected={
        "mean_2h": (None, 13.0, -4.0, None, None),
        "count_2h": (None, 2.0, 1.0, 0.0, None),
        "mean_24h": (None, 13.0, 13.0, 13.0, None),
    },
)

TESTS = (WINDOWS,)
