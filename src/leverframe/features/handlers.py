"""Every command of the features room with what carries it out."""

from leverframe.core.command import Handles
from leverframe.features.commands import HANDLERS as VIEWS
from leverframe.features.compliance import HANDLERS as COMPLIANCE
from leverframe.features.job_commands import HANDLERS as JOBS
from leverframe.features.online_commands import HANDLERS as ONLINE
from leverframe.features.parity_verdicts import HANDLERS as PARITY

HANDLERS: tuple[Handles, ...] = (*VIEWS, *JOBS, *ONLINE, *PARITY, *COMPLIANCE)
