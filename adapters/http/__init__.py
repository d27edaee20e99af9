"""The web service: the providers' webhooks, the query API, and the health checks."""

from adapters.http.app import create_app

__all__ = ["create_app"]
