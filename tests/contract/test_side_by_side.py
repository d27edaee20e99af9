"""What one process holds for as long as it lives keeps no other from its work."""

from adapters.service import Service
from adapters.storage.jobs import LEASE
from adapters.storage.opening import open_storage
from projections.known import PROJECTIONS
from tests.notices import delivery, notice


def test_a_ledger_is_sealed_and_followed_while_another_process_leads_everything(
    service: Service, url: str
) -> None:
    other = open_storage(url, ())
    assert other.effects.leads()
    assert all(other.views.leads(name) for name in (LEASE, *(p.name for p in PROJECTIONS)))
    service.ledger.record([delivery(notice())])
    service.sealer.seal()
    assert service.evidence.last_checkpoint() is not None
    service.runner.catch_up()
    assert service.operators.page(None, 1) == []
    other.close()
