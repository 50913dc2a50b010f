"""The commands of experiments, bound to what carries them out and to the facts their policy decides on."""

from leverframe.core.command import Handles
from leverframe.release.experiments import planning, running
from leverframe.release.experiments.planning import ApproveExperiment, PlanExperiment, StartExperiment
from leverframe.release.experiments.running import ConcludeExperiment, FileReport, NoteReadout, StopExperiment

HANDLERS: tuple[Handles, ...] = (
    Handles(command=PlanExperiment, run=planning.plan_experiment),
    Handles(command=ApproveExperiment, run=planning.approve_experiment, facts=planning.experiment_facts),
    Handles(command=StartExperiment, run=planning.start_experiment, facts=planning.experiment_facts),
    Handles(command=StopExperiment, run=running.stop_experiment),
    Handles(command=ConcludeExperiment, run=running.conclude_experiment),
    Handles(command=NoteReadout, run=running.note_readout),
    Handles(command=FileReport, run=running.file_report),
)
