"""Leverframe: the paved road from training code to a model that serves production traffic, and can be taken back in a second.

Names are loaded when first used, so that ``import leverframe`` costs nothing.

>>> import leverframe as lf
>>> lf.Aggregate(name="origin_delay_2h", function="mean", column="dep_delay", window_us=2 * lf.HOUR_US).window_us
7200000000
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leverframe.apps.client import Client as Client
    from leverframe.apps.platform.views import PlanRequest as PlanRequest
    from leverframe.apps.platform.views import TrainRequest as TrainRequest
    from leverframe.core.clock import DAY_US as DAY_US
    from leverframe.core.clock import HOUR_US as HOUR_US
    from leverframe.core.clock import MINUTE_US as MINUTE_US
    from leverframe.core.clock import SECOND_US as SECOND_US
    from leverframe.core.clock import iso_from_us as iso_from_us
    from leverframe.core.clock import us_from_iso as us_from_iso
    from leverframe.core.errors import LeverframeError as LeverframeError
    from leverframe.core.feature import Aggregate as Aggregate
    from leverframe.core.feature import Expression as Expression
    from leverframe.core.feature import FeatureView as FeatureView
    from leverframe.core.feature_example import FeatureTest as FeatureTest
    from leverframe.core.feature_service import Entity as Entity
    from leverframe.core.feature_service import EntityKey as EntityKey
    from leverframe.core.feature_service import FeatureService as FeatureService
    from leverframe.core.feature_service import ServedFeature as ServedFeature
    from leverframe.core.model import ModelSpec as ModelSpec
    from leverframe.core.schema import InputColumn as InputColumn
    from leverframe.core.schema import OutputField as OutputField
    from leverframe.core.schema import RequestField as RequestField
    from leverframe.core.verdict import GateRule as GateRule
    from leverframe.features.training_sets.point_in_time import TrainingSet as TrainingSet
    from leverframe.features.training_sets.point_in_time import training_set as training_set
    from leverframe.features.training_sets.training_files import write_training_set as write_training_set
    from leverframe.training.export_torch import export_torch as export_torch

__version__ = "0.1.0"

_HOMES = {
    "leverframe.apps.client": ("Client",),
    "leverframe.apps.platform.views": ("PlanRequest", "TrainRequest"),
    "leverframe.core.clock": ("DAY_US", "HOUR_US", "MINUTE_US", "SECOND_US", "iso_from_us", "us_from_iso"),
    "leverframe.core.errors": ("LeverframeError",),
    "leverframe.core.feature": ("Aggregate", "Expression", "FeatureView"),
    "leverframe.core.feature_example": ("FeatureTest",),
    "leverframe.core.feature_service": ("Entity", "EntityKey", "FeatureService", "ServedFeature"),
    "leverframe.core.model": ("ModelSpec",),
    "leverframe.core.schema": ("InputColumn", "OutputField", "RequestField"),
    "leverframe.core.verdict": ("GateRule",),
    "leverframe.features.training_sets.point_in_time": ("TrainingSet", "training_set"),
    "leverframe.features.training_sets.training_files": ("write_training_set",),
    "leverframe.training.export_torch": ("export_torch",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'leverframe' has no attribute {name!r}; it offers {', '.join(sorted(_HOME_OF))}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
