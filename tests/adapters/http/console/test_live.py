"""Parts of pages that stay fresh: events for who is signed in, and for nobody else."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import Request
from starlette.responses import StreamingResponse

from adapters.access.roles import Caller, Role
from adapters.http.console import live
from adapters.http.console.context import SignInWanted, Visit
from adapters.http.console.live import Live
from adapters.http.console.session import Session
from adapters.http.protocol import ENDLESS
from adapters.storage.log import StorageUnavailable
from tests.adapters.http.console.browser import Browser, parts_in

OVERVIEW = "/console/overview/live"
SIGNED_OUT = "event: signed-out\ndata: \n\n"
ALICE = Caller("token alice", "127.0.0.1", frozenset({Role.AUDITOR}))


class Visitors:
    """A console that somebody visits again and again, as told: as who, or with what error."""

    def __init__(self, *found: Caller | Exception) -> None:
        self.found = list(found)

    async def visit(self, request: Request) -> Visit:
        found = self.found.pop(0)
        if isinstance(found, Exception):
            raise found
        return visit_of(found, request)


def visit_of(caller: Caller, request: Request | None = None) -> Visit:
    return Visit(
        request or Request({"type": "http", "method": "GET"}),
        caller,
        Session("digest", "secret", 0),
    )


def streamed(found: Sequence[Caller | Exception], drawn: Sequence[str]) -> str:
    """What a stream says to Alice, the part being drawn so, time by time."""
    console: Any = Visitors(*found)
    parts = iter(drawn)
    response = Live(console).stream(visit_of(ALICE), 0, lambda _: next(parts))
    assert isinstance(response, StreamingResponse)
    assert response.media_type == "text/event-stream"

    async def read() -> str:
        chunks: list[Any] = [chunk async for chunk in response.body_iterator]
        return b"".join(chunks).decode()

    return asyncio.run(read())


@pytest.fixture
def _endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STREAM_SECONDS", 3600)


@pytest.mark.usefixtures("_endless")
def test_a_part_is_sent_when_it_changed_until_its_reader_is_signed_out() -> None:
    told = streamed([ALICE] * 4 + [SignInWanted()], ["one\ntwo", "one\ntwo", "three", "three"])
    assert told == f"retry: 1000\n\ndata: one\ndata: two\n\ndata: three\n\n{SIGNED_OUT}"
    assert parts_in(told) == ["one\ntwo", "three", ""]


@pytest.mark.usefixtures("_endless")
def test_who_may_less_than_before_reads_no_more() -> None:
    narrower = Caller(ALICE.who, ALICE.origin, frozenset())
    assert streamed([ALICE, narrower], ["one"]).endswith(f"data: one\n\n{SIGNED_OUT}")


@pytest.mark.usefixtures("_endless")
def test_a_stream_ends_where_the_storage_does_so_that_the_browser_asks_again() -> None:
    assert streamed([ALICE, StorageUnavailable("gone")], ["one"]) == "retry: 1000\n\ndata: one\n\n"


def test_a_stream_has_an_end_by_itself() -> None:
    assert parts_in(streamed([ALICE], ["one"])) == ["one"]


def test_streams_are_bounded(operator: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator.get(OVERVIEW).status_code == 200
    monkeypatch.setattr(live, "STREAMS_MAX", 1)
    assert operator.get(OVERVIEW).status_code == 200, "the one before has ended"
    monkeypatch.setattr(live, "STREAMS_MAX", 0)
    assert operator.get(OVERVIEW).status_code == 503


def test_a_service_that_stops_does_not_wait_for_a_stream() -> None:
    visit = visit_of(ALICE)
    console: Any = Visitors()
    Live(console).stream(visit, 1, lambda _: "part")
    assert visit.request.scope[ENDLESS], "the protocol closes what has this mark"
