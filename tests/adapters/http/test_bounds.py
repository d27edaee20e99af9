"""Bodies of the other routes are bounded, whoever sends them."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from adapters.http import bounds
from tests.adapters.http.local import API_TOKEN, LocalService, problem

DISCARD = "/quarantine/1/discard"


def test_a_body_that_is_too_large_is_413_before_it_is_read(shared: LocalService) -> None:
    body = b'{"reason": "' + b"x" * bounds.BODY_BYTES_MAX + b'"}'
    headers = {"Content-Type": "application/json"}
    problem(shared.run(shared.http.post(DISCARD, content=body, headers=headers)), 413)


def test_a_body_in_chunks_is_counted_as_it_comes(shared: LocalService) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 16_384
            yield b" " * 16_384

    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {API_TOKEN}"}
    problem(shared.run(shared.http.post(DISCARD, content=chunks(), headers=headers)), 413)
    assert sent <= bounds.BODY_BYTES_MAX + 2 * 16_384


def test_a_body_that_does_not_end_is_408(
    shared: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "BODY_SECONDS", 0.05)

    async def drops() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)
        yield b"}"

    headers = {"Content-Type": "application/json"}
    problem(shared.run(shared.http.post(DISCARD, content=drops(), headers=headers)), 408)


def test_an_honest_body_passes(shared: LocalService) -> None:
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    answer = shared.run(shared.http.post(DISCARD, json={"reason": "a test"}, headers=headers))
    problem(answer, 404)


def test_a_cursor_that_nests_without_end_is_422(shared: LocalService) -> None:
    cursor = base64.urlsafe_b64encode(b"[" * 6000).decode()
    assert shared.get("/orders", after=cursor).status_code == 422


def test_no_answer_sends_anybody_elsewhere(shared: LocalService) -> None:
    answer = shared.run(shared.http.get("/health/live/", headers={"Host": "elsewhere.example"}))
    problem(answer, 404)
