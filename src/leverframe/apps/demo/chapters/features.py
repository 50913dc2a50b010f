"""Chapter 2: features declared once, materialised to the online store."""

from leverframe.apps.demo.project.features import VIEWS
from leverframe.apps.demo.project.models import flight_delay
from leverframe.apps.demo.stage import Stage


def tell(stage: Stage) -> None:
    """Declare the views and the model, and fill the online store as of the clock's moment."""
    with stage.timeline.chapter("Features: declared once, used offline and online", "features"):
        ana = stage.people["ana"]
        for view in VIEWS:
            applied = ana.features.apply(view)
            stage.timeline.note(
                f"view {view.name}: {len(view.features)} features of {', '.join(view.entity)}, version {str(applied['view_version'])[:15]}…"
            )
        ana.training.apply_model(flight_delay())
        written = ana.features.materialize()
        for name, job in written.items():
            stage.timeline.good(f"{name}: {job.entities:,} entities in the online store")
    stage.figures["features"] = {
        "views": {view.name: list(view.features) for view in VIEWS},
        "materialized": {name: job.entities for name, job in written.items()},
    }
