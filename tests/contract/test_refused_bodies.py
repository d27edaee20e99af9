"""A refused body that is kept is sealed under a key of its own, which a rotation takes with it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.service import Service
from adapters.storage.refusals import KeptRefusal
from adapters.vault import Unopened
from adapters.vault.keys import OrderKey
from adapters.vault.rotating import Rotation
from adapters.vault.sealing import seal_alone

BODY = b'{"customer": {"name": "Wanjiru Kamau"}}'


def keep(service: Service, body: bytes = BODY) -> None:
    kept = KeptRefusal(datetime.now(UTC), "sevi", "wrong_secret", None, [], body)
    service.refusals.add([], [kept])


def bodies(service: Service) -> list[bytes]:
    return [kept.body for kept in service.refusals.kept()]


def test_a_copy_from_before_a_rotation_opens_no_more_once_the_old_master_key_is_gone(
    service: Service, tmp_path: Path
) -> None:
    """As it may lie in a write-ahead log or an archive of one."""
    keep(service)
    (copy,) = service.vault.tables.unproven()
    assert service.vault.open_unproven(copy.sealed, copy.body_hash) == BODY
    master = tmp_path / "master-keys.txt"
    old = master.read_text()
    Rotation(service.vault).run()
    keep(service, b"another")
    assert bodies(service) == [BODY, b"another"]
    master.write_text(master.read_text().removesuffix(old))
    later = Service(service.settings)
    assert bodies(later) == [BODY, b"another"]
    with pytest.raises(Unopened):
        later.vault.open_unproven(copy.sealed, copy.body_hash)
    later.close()


def test_a_service_that_runs_on_keeps_with_the_newest_master_key(
    service: Service, tmp_path: Path
) -> None:
    keep(service)
    operator = Service(service.settings)
    master = tmp_path / "master-keys.txt"
    old = master.read_text()
    Rotation(operator.vault).run()
    keep(service, b"another")
    operator.close()
    master.write_text(master.read_text().removesuffix(old))
    later = Service(service.settings)
    assert bodies(later) == [BODY, b"another"]
    later.close()


def test_what_an_earlier_release_kept_is_read_and_sealed_anew_with_a_rotation(
    service: Service,
) -> None:
    keep(service)
    (kept,) = service.vault.tables.unproven()
    former = service.vault._unproven
    assert isinstance(former, OrderKey)
    earlier = seal_alone(BODY, kept.body_hash, former)
    service.vault.tables.reseal([(kept, earlier)])
    assert bodies(service) == [BODY]
    Rotation(service.vault).run()
    (now,) = service.vault.tables.unproven()
    assert now.sealed not in (earlier, kept.sealed)
    assert len(now.sealed) == len(kept.sealed)
    assert bodies(service) == [BODY]


def test_one_refused_body_does_not_stand_in_for_another(service: Service) -> None:
    keep(service)
    keep(service, b"another")
    first, second = service.vault.tables.unproven()
    service.vault.tables.reseal([(second, first.sealed)])
    assert bodies(service) == [BODY]
