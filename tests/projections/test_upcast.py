"""Events outlive the forms that they were stored in: a rebuild reads old and new alike."""

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from adapters.ledger import mapper
from adapters.read_models.rebuilding import Rebuild
from domain.order import PaymentReceived
from projections.audit_history import AUDIT_HISTORY, HISTORY
from projections.order_status import ORDER_STATUS, ORDERS
from tests.projections.conftest import Models


@dataclass(frozen=True, slots=True, kw_only=True)
class _NextPaymentReceived(PaymentReceived):
    """The form of a later release: it says `references`, where version 1 said `names`."""

    class_version: ClassVar[int] = 2

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        state["references"] = state.pop("names", [])


def test_a_rebuild_reads_old_and_new_forms_alike(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    models.record(3)
    recorder = models.ledger.event_log.recorder
    written = recorder.select_events("default/0002")
    old = [
        type(event)(
            originator_id="default/old",
            originator_version=event.originator_version,
            topic=event.topic,
            state=event.state.replace(b'"references":["R2"]', b'"names":["OLD"]'),
        )
        for event in written
    ]
    assert b'{"v":1,' in old[0].state
    assert b'"names"' in old[0].state
    recorder.insert_events(old)

    form = mapper._Form(_NextPaymentReceived)
    monkeypatch.setattr(mapper, "FORMS", {**mapper.FORMS, "PaymentReceived": form})
    newer = type(old[0])(
        originator_id="default/new",
        originator_version=1,
        topic="PaymentReceived",
        state=written[0].state.replace(b'{"v":1,', b'{"v":2,').replace(b"R2", b"NEW"),
    )
    recorder.insert_events([newer])

    models.follow(ORDER_STATUS, AUDIT_HISTORY)
    for projection in (ORDER_STATUS, AUDIT_HISTORY):
        work = Rebuild(models.storage, projection)
        report = work.compare(work.build(1, models.url, lambda *_: None), 5)
        assert report.differences == 0
        assert report.position == "0-9"
    rows = {row.order_id: row for row in models.storage.views.select(ORDERS, "")}
    assert rows["old"].references == ("OLD",)
    assert rows["new"].references == ("NEW",)
    assert rows["old"].status == rows["0002"].status == "DELIVERED"
    history = models.storage.views.select(HISTORY, "WHERE order_id = 'old' ORDER BY idx")
    assert [row.references for row in history] == [("OLD",), ()]
