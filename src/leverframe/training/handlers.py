"""Every command of the training room, with the function that carries it out."""

from leverframe.core.command import Handles
from leverframe.training.commands import HANDLERS as RUNS
from leverframe.training.reproduction_commands import HANDLERS as REPRODUCTIONS

HANDLERS: tuple[Handles, ...] = (*RUNS, *REPRODUCTIONS)
