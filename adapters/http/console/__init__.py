"""The console: pages for people, drawn on the server from what the JSON API answers from."""

from adapters.http.console.app import mount_console

__all__ = ["mount_console"]
