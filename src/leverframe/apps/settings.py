"""Every setting of every process, from environment variables named ``LEVER_*``; rooms never see this record."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

LOOPBACK = ("127.0.0.1", "::1", "localhost")
"""Addresses that only this machine can reach."""


class Settings(BaseSettings):
    """Where things are and which bounds hold. Each field is ``LEVER_<FIELD>`` in the environment."""

    model_config = SettingsConfigDict(env_prefix="LEVER_", extra="ignore")

    home: Path = Field(default=Path(".leverframe"), description="folder of everything the embedded defaults keep")
    environment: str = Field(default="prod", description="the environment this installation's gateways serve")
    database_url: str = Field(default="", description="SQLAlchemy URL of the ledger; empty: SQLite under home")
    workflows_url: str = Field(default="", description="SQLAlchemy URL of the durable workflows; empty: SQLite under home")
    artifacts_url: str = Field(
        default="", description="file:// or s3:// of content-addressed bytes (credentials: AWS_*); empty: a folder under home"
    )
    publication_url: str = Field(
        default="", description="file:// or s3:// of the signed route tables (credentials: AWS_*); empty: a folder under home"
    )
    sources_allowed: str = Field(
        default="",
        description="places that teams may register sources in, separated by blanks: s3://bucket/prefix, postgresql://host:port/database, "
        "spark://catalog, file:///folder, and endpoints of object stores; empty: none",
    )
    online_url: str = Field(
        default="",
        description="redis:// address of the online store that gateways read and features are written to; empty: a folder under home",
    )
    spark_master: str = Field(
        default="",
        description="where features and checks on Spark run: local[N], spark://, yarn, k8s:// or sc:// (Connect); empty: local[*]",
    )
    clock: str = Field(default="system", description="'system', or 'replay:<file>' to live in replayed event time")
    host: str = Field(default="127.0.0.1", description="address the control API and console listen on")
    port: int = Field(default=8400, ge=0, le=65535, description="port of the control API and console")
    gateway_host: str = Field(default="127.0.0.1", description="address the gateway listens on")
    gateway_port: int = Field(default=8401, ge=0, le=65535, description="port of the gateway")
    gateway_grpc_port: int = Field(default=8402, ge=0, le=65535, description="port of the gateway's gRPC door; 0: none")
    allow_isolated: bool = Field(
        default=False,
        description="gateways, stream workers and batch jobs may run signed foreign models (MLflow pyfunc), each in a locked-down "
        "process of its own",
    )
    onnx_providers: str = Field(
        default="cpu",
        description="what gateways run ONNX models on, first choice first: cpu, cuda or cuda,cpu; what is not there is refused",
    )
    gateway_workers: str = Field(default="1", description="gateway processes on that port; 'auto': one a usable core")
    allow_exposure: bool = Field(default=False, description="permit listening beyond loopback (put TLS in front)")
    traces_url: str = Field(default="", description="OTLP collector that gateways send traces of sampled requests to; empty: none")
    traces_share: float = Field(default=0.0, ge=0.0, le=1.0, description="share traced of the requests that come without a trace")
    egress_hosts: str = Field(
        default="",
        description="hosts that webhooks and lineage events may go to, with commas: host, host:port, *.host, http://host:port; empty: none",
    )
    egress_networks: str = Field(
        default="", description="inside networks where those hosts may be, such as 10.1.0.0/16; empty: public addresses only"
    )
    egress_ca_file: str = Field(default="", description="PEM file of further certificate authorities for them; empty: the usual ones")
    openlineage_url: str = Field(
        default="", description="OpenLineage collector, on a host of egress_hosts, that is sent run events; empty: none"
    )
    mlflow_token: str = Field(default="", description="what MLflow registries are told: a bearer token, or user:password; empty: nothing")
    registry_interval_s: float = Field(default=30.0, gt=0, description="pause between two looks at the registries that are followed")
    witness_url: str = Field(
        default="", description="witness, on a host of egress_hosts, that is sent signed checkpoints of the audit chain; empty: none"
    )
    witness_interval_s: float = Field(default=300.0, gt=0, description="pause between two checkpoints for the witness")
    alarms_per_month: float = Field(default=1.0, gt=0, description="false alarms the owner accepts, over all columns of a model")
    core_hour_price: float = Field(
        default=0.0, ge=0.0, description="price of an hour of one core, in your currency: what plans say a backfill costs; 0: not said"
    )
    parity_interval_s: float = Field(
        default=600.0, ge=0, description="pause between two comparisons of served feature values with the offline ones; 0: none"
    )
    look_interval_ms: int = Field(default=50, ge=1, description="pause between two looks of the release controller")

    @property
    def ledger_url(self) -> str:
        """The ledger's database."""
        return self.database_url or f"sqlite:///{(self.home / 'ledger.db').resolve()}"

    @property
    def durable_url(self) -> str:
        """The durable workflows' database; PostgreSQL installations share the ledger's."""
        if self.workflows_url:
            return self.workflows_url
        return self.database_url or f"sqlite:///{(self.home / 'workflows.db').resolve()}"

    @property
    def artifact_store_url(self) -> str:
        """The content-addressed store."""
        return self.artifacts_url or f"file://{(self.home / 'artifacts').resolve()}"

    @property
    def publication_store_url(self) -> str:
        """Where signed route tables are published."""
        return self.publication_url or f"file://{(self.home / 'published').resolve()}"

    @property
    def keys_folder(self) -> Path:
        """The signing key of this installation."""
        return self.home / "keys"

    @property
    def online_folder(self) -> Path:
        """The embedded online store."""
        return self.home / "online"

    @property
    def log_folder(self) -> Path:
        """Prediction-log segments."""
        return self.home / "log"

    @property
    def log_archive(self) -> Path:
        """What of the prediction log is no segment any more, as Parquet."""
        return self.home / "log-archive"

    @property
    def outbox_file(self) -> Path:
        """What waits to be sent to other people's servers."""
        return self.home / "outbox.db"

    @property
    def gateway_folder(self) -> Path:
        """A gateway's own last-good copies."""
        return self.home / "gateway"
