"""Every command of the data room with the function that carries it out."""

from leverframe.core.command import Handles
from leverframe.data.commands import HANDLERS as ROWS
from leverframe.data.commands_fetch import HANDLERS as FETCHES
from leverframe.data.commands_sources import HANDLERS as SOURCES
from leverframe.data.retention.commands_erasure import HANDLERS as ERASURE
from leverframe.data.retention.commands_retention import HANDLERS as RETENTION
from leverframe.data.streams.commands_streams import HANDLERS as STREAMS
from leverframe.data.streams.commands_thin import HANDLERS as THINNING

HANDLERS: tuple[Handles, ...] = (*ROWS, *RETENTION, *ERASURE, *SOURCES, *FETCHES, *STREAMS, *THINNING)
