"""How `api` serves."""

import httpx
from fastapi import FastAPI

from app.cli.serve.api import server_config
from app.settings import Settings

USUAL_PROXY_SECONDS = 60  # nginx, and the load balancers of the clouds


def test_clients_and_proxies_close_their_idle_connections_before_the_server_does() -> None:
    config = server_config(FastAPI(), Settings())
    kept_by_clients = httpx.Limits().keepalive_expiry
    assert kept_by_clients is not None
    assert config.timeout_keep_alive > max(kept_by_clients, USUAL_PROXY_SECONDS)
