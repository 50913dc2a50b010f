"""Route of the leakage check."""

from leverframe.apps.control.route import Route
from leverframe.core.training_set_report import TrainingSetReport

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/models/{model}/leakage",
        permission="Training.Read",
        resource="model/{model}",
        run=lambda call: call.platform.leakage.report(call.path["model"]),
        gives=TrainingSetReport,
        summary="The training set a model would get today: questions without a row, and what may leak",
    ),
)
