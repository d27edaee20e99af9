"""The library's subscription over either of our logs."""

from collections.abc import Sequence

from eventsourcing.persistence import ApplicationRecorder, ListenNotifySubscription

from adapters.storage.log import EventLog

POLL_SECONDS = 0.5  # another process's append does not wake us


class Following(ListenNotifySubscription[ApplicationRecorder]):
    """Follows a log: woken by appends of this process, and polling for those of others."""

    def __init__(self, log: EventLog, gt: int | None, topics: Sequence[str]) -> None:
        super().__init__(log.recorder, gt, topics)
        log.on_append(self._has_been_notified.set)

    def _loop_on_pull(self) -> None:
        try:
            while not self._has_been_stopped:
                self._pull()
                self._has_been_notified.wait(POLL_SECONDS)
        except BaseException as error:
            self._thread_error = self._thread_error or error
            self.stop()
