"""The control application without a socket: a client whose requests go straight into it."""

import warnings
from typing import Any

import httpx

from leverframe.apps.client import Client
from leverframe.apps.control.app import create_app

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

ADDRESS = "http://localhost"
ADMIN = {"Authorization": "Bearer admin-token"}


def browser(platform: Any, **options: Any) -> TestClient:
    return TestClient(create_app(platform, **options), base_url=ADDRESS, follow_redirects=False, raise_server_exceptions=False)


def transport_to(platform: Any) -> httpx.BaseTransport:
    return browser(platform)._transport


def client_of(platform: Any, token: str = "admin-token", **options: Any) -> Client:
    return Client(ADDRESS, token, http=transport_to(platform), sleep=lambda seconds: None, **options)
