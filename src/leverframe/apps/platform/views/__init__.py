"""What use cases take and answer: frozen records that the API turns into JSON and the console into pages, a file an area."""

from leverframe.apps.platform.views.data import ContractCheckView, DatasetView, IngestView
from leverframe.apps.platform.views.features import (
    EntityView,
    FeatureDetailView,
    FeatureViewView,
    ForgetEntityRequest,
    ForgottenView,
    MaterializeRequest,
    ParityView,
    PushRequest,
    PushView,
    ServiceRequest,
    ServiceView,
)
from leverframe.apps.platform.views.history import CorrectionRequest, HistoryEntry
from leverframe.apps.platform.views.lineage import ImpactView, LineageView, Served
from leverframe.apps.platform.views.monitoring import DiagnosisView, MonitorView, ObjectivesRequest, ObjectivesView
from leverframe.apps.platform.views.operating import (
    EndpointView,
    FallbackRequest,
    FreezeView,
    LeverView,
    LimitsRequest,
    QuotaRequest,
    TenantQuotaView,
)
from leverframe.apps.platform.views.project import Backfill, Declarations, ProjectApplied, ProjectPlan, ProjectRequest, ProjectStep
from leverframe.apps.platform.views.record import AuditView, Check, StatusView, TokenView, VerifyView
from leverframe.apps.platform.views.registries import FollowedView, RegistryRequest, RegistryView
from leverframe.apps.platform.views.release import IntervalPoint, PlanRequest, PlanView, ReleaseView, StageLogEntry
from leverframe.apps.platform.views.requirements import ExceptionRequest, ExceptionView, RequirementView
from leverframe.apps.platform.views.training import DeletedRows, ImportRequest, RunView, StepView, TrainRequest, VersionView
from leverframe.apps.platform.views.webhooks import DeadLetter, WebhookRequest, WebhookView

__all__ = [
    "AuditView",
    "Backfill",
    "Check",
    "ContractCheckView",
    "CorrectionRequest",
    "DatasetView",
    "Declarations",
    "DeadLetter",
    "DeletedRows",
    "DiagnosisView",
    "EndpointView",
    "EntityView",
    "ExceptionRequest",
    "ExceptionView",
    "FallbackRequest",
    "FeatureDetailView",
    "FeatureViewView",
    "ForgetEntityRequest",
    "ForgottenView",
    "FollowedView",
    "FreezeView",
    "HistoryEntry",
    "ImpactView",
    "ImportRequest",
    "IngestView",
    "IntervalPoint",
    "LeverView",
    "LimitsRequest",
    "LineageView",
    "MaterializeRequest",
    "MonitorView",
    "ObjectivesRequest",
    "ObjectivesView",
    "ParityView",
    "PlanRequest",
    "PlanView",
    "ProjectApplied",
    "ProjectPlan",
    "ProjectRequest",
    "ProjectStep",
    "PushRequest",
    "PushView",
    "QuotaRequest",
    "ReleaseView",
    "RegistryRequest",
    "RegistryView",
    "RequirementView",
    "RunView",
    "ServiceRequest",
    "Served",
    "ServiceView",
    "StageLogEntry",
    "StatusView",
    "StepView",
    "TenantQuotaView",
    "TokenView",
    "TrainRequest",
    "VerifyView",
    "VersionView",
    "WebhookRequest",
    "WebhookView",
]
