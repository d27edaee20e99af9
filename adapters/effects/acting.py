"""What an operator does about effects; each step is told to the operators' log."""

from adapters.access.roles import Caller
from adapters.effects.state import State
from adapters.storage.access import Operation
from adapters.storage.effects import EffectFilter, EffectRow, EffectStore

RETRIED_MAX = 1000  # at once


class CannotAct(Exception):
    """There is no such effect or target, or it is done already; the message says which."""


class EffectDesk:
    """One operator's hand on the effects. Its methods block and raise `CannotAct`, and
    `StorageUnavailable`."""

    def __init__(self, store: EffectStore, caller: Caller) -> None:
        self._store = store
        self._caller = caller

    def known(self, effect_id: str) -> EffectRow:
        """An effect that is there."""
        row = self._store.get(effect_id)
        if row is None:
            raise CannotAct(f"there is no effect {effect_id}: see order-ledger effects list")
        return row

    def retry(self, effect_id: str, reason: str | None) -> None:
        """Try an unsent effect again from now on, as often as a new one."""
        found = self.known(effect_id)
        if not self._store.retry([found.id], self._told("effects retry", found.id, reason)):
            raise CannotAct(f"{effect_id} is sent: the receiver has it")

    def retry_dead(self, target: str, reason: str | None) -> int:
        """Try all dead effects of a target again; returns how many those are."""
        if self._store.target(target) is None:
            raise self._unknown(target)
        rows = self._store.page(EffectFilter(target, State.DEAD), None, RETRIED_MAX)
        told = self._told("effects retry", f"{len(rows)} dead of {target}", reason)
        return len(self._store.retry([row.id for row in rows], told))

    def skip(self, effect_id: str, reason: str | None) -> None:
        """Never send an effect; the later ones of its order go on."""
        found = self.known(effect_id)
        if not self._store.skip([found.id], self._told("effects skip", found.id, reason)):
            raise CannotAct(f"{found.id} is {self.known(effect_id).state} already")

    def pause(self, target: str, reason: str | None) -> None:
        """Send nothing to a target for now; what comes meanwhile waits."""
        why = reason or "by an operator"
        if not self._store.pause(target, why, self._told("effects pause", target, reason)):
            raise self._unknown(target)

    def resume(self, target: str, reason: str | None = None) -> None:
        """Send to a target again, at once."""
        if not self._store.resume(target, self._told("effects resume", target, reason)):
            raise self._unknown(target)

    def _told(self, action: str, what: str, reason: str | None) -> Operation:
        return Operation.by(self._caller, action, what, reason)

    def _unknown(self, target: str) -> CannotAct:
        known = ", ".join(one.name for one in self._store.targets()) or "none"
        return CannotAct(f"there is no target {target}; there are: {known}")
