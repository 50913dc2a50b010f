"""The commands of batch tables, bound to what carries them out and to the facts their policy decides on."""

from leverframe.core.command import Handles
from leverframe.release.tables import planning, switching, watching
from leverframe.release.tables.planning import ApproveTable, PlanTable
from leverframe.release.tables.switching import RollbackTable, SwitchTable, WriteTable
from leverframe.release.tables.watching import NoteWatch, TakeBackTable

HANDLERS: tuple[Handles, ...] = (
    Handles(command=WriteTable, run=switching.write_table, facts=switching.write_facts),
    Handles(command=PlanTable, run=planning.plan_table),
    Handles(command=ApproveTable, run=planning.approve_table, facts=planning.table_plan_facts),
    Handles(command=SwitchTable, run=switching.switch_table, facts=planning.table_plan_facts),
    Handles(command=RollbackTable, run=switching.rollback_table),
    Handles(command=NoteWatch, run=watching.note_watch),
    Handles(command=TakeBackTable, run=watching.take_back),
)
