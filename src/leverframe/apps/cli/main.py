"""The ``lever`` command: its verbs, and what becomes of an error."""

import sys

import typer

from leverframe.apps.cli import (
    commands_backup,
    commands_contracts,
    commands_data,
    commands_data_stream,
    commands_evidence,
    commands_exception,
    commands_experiment,
    commands_features,
    commands_fetches,
    commands_history,
    commands_keeping,
    commands_leakage,
    commands_levers,
    commands_lineage,
    commands_materialize,
    commands_online,
    commands_operating,
    commands_parity,
    commands_policy,
    commands_project,
    commands_promoting,
    commands_record,
    commands_registry,
    commands_release,
    commands_reproduce,
    commands_rollouts,
    commands_run,
    commands_score,
    commands_serving,
    commands_slo,
    commands_sources,
    commands_stream,
    commands_table,
    commands_training,
    commands_training_set,
    commands_webhooks,
)
from leverframe.apps.cli.exit_codes import exit_code_of
from leverframe.apps.cli.output import report_error
from leverframe.core.errors import LeverframeError

app = typer.Typer(
    name="lever",
    help="The paved road from training code to a model that serves production traffic, and can be taken back in a second.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 ok, 1 internal, 2 usage, 3 refused by a gate or a policy, 4 conflict, 5 unavailable.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _module in (
    commands_run,
    commands_project,
    commands_contracts,
    commands_data,
    commands_data_stream,
    commands_features,
    commands_fetches,
    commands_keeping,
    commands_leakage,
    commands_lineage,
    commands_materialize,
    commands_online,
    commands_parity,
    commands_training,
    commands_training_set,
    commands_reproduce,
    commands_score,
    commands_registry,
    commands_release,
    commands_levers,
    commands_rollouts,
    commands_history,
    commands_exception,
    commands_promoting,
    commands_experiment,
    commands_table,
    commands_operating,
    commands_slo,
    commands_serving,
    commands_sources,
    commands_stream,
    commands_backup,
    commands_record,
    commands_evidence,
    commands_policy,
    commands_webhooks,
):
    _module.register(app)


def main() -> None:
    """Run the command line; the exit code says what happened."""
    try:
        app()
    except LeverframeError as error:
        report_error(error, json_output="--json" in sys.argv)
        sys.exit(exit_code_of(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
