"""The proxy meets a commit where it should: before it, or after it and before its answer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import pytest

from adapters.storage import postgres_schema
from adapters.storage.log import EventLog
from adapters.storage.postgres import Database
from adapters.storage.postgres_log import PostgresLog
from tests.contract.logs import entry, event
from tests.crash.proxy import Proxy


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[Proxy]:
    parts = urlsplit(postgres_url)
    assert parts.hostname is not None
    proxy = Proxy(parts.hostname, parts.port or 5432)
    yield proxy
    proxy.close()


@pytest.fixture
def log(postgres_url: str, proxy: Proxy) -> Iterator[EventLog]:
    """A log behind the proxy, its connection open already."""
    postgres_schema.init(postgres_url)
    parts = urlsplit(postgres_url)
    user = parts.netloc.rpartition("@")[0]
    url = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}"))
    log = PostgresLog(Database(url), lambda: datetime.now(UTC))
    log.append([entry(event("s/1", 1))])
    yield log
    log.close()


@pytest.mark.parametrize(
    "disturb",
    [Proxy.drop_answer, lambda proxy: proxy.cut_in_request(0), lambda p: p.cut_in_request(100)],
    ids=["answer dropped", "cut before a byte", "cut amid the bytes"],
)
def test_an_append_that_is_disturbed_is_stored_once(
    log: EventLog, proxy: Proxy, disturb: Callable[[Proxy], bool]
) -> None:
    with ThreadPoolExecutor() as threads:
        disturbed = threads.submit(disturb, proxy)
        proxy.armed.wait(5)
        positions = log.append([entry(event("s/2", 1))])
    assert disturbed.result(), "the append passed undisturbed"
    assert [str(position) for position in positions] == ["0-2"]
    assert [stored.event.originator_id for stored in log.read(None, 10)] == ["s/1", "s/2"]


def test_a_frozen_connection_goes_on_after_the_thaw(log: EventLog, proxy: Proxy) -> None:
    proxy.freeze()
    with ThreadPoolExecutor() as threads:
        appended = threads.submit(log.append, [entry(event("s/2", 1))])
        with pytest.raises(TimeoutError):
            appended.result(0.2)
        proxy.thaw()
        assert len(appended.result(5)) == 1
