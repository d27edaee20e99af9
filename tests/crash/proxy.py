"""A small TCP proxy between the service and its database that can cut, swallow and freeze.

It learns which connection appends to the log by the append's own text in the bytes that pass. Where
it cannot read them (TLS), any connection will do.
"""

import socket
from contextlib import suppress
from threading import Event, Lock, Thread

APPEND = b"order_ledger.append"
READY = b"Z\x00\x00\x00\x05I"  # the database's last word on a statement: done, and committed
CHUNK = 65536
FIRE_SECONDS = 3.0
CONNECT_SECONDS = 5.0


class _Link:
    """One connection of the service and the one to the database behind it."""

    def __init__(self, client: socket.socket, database: socket.socket) -> None:
        self.client = client
        self.database = database
        self.appends = False
        self.swallows = False

    def sever(self) -> None:
        for end in (self.client, self.database):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Proxy:
    """Listens on a free port of the loopback, and passes on to a database."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._links: set[_Link] = set()
        self._lock = Lock()
        self._open = Event()
        self._open.set()
        self._fired = Event()
        self.armed = Event()  # the next append will be disturbed
        self._cut_after: int | None = None
        self._drop_next = False
        self._thread = Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut_in_request(self, after_bytes: int) -> bool:
        """Pass so many bytes of the next append on, then cut. False where no append came: then
        everything was cut."""
        self._fired.clear()
        with self._lock:
            self._cut_after = after_bytes
        self.armed.set()
        return self._await_fire()

    def drop_answer(self) -> bool:
        """Let the next append reach the database, wait until it is committed, and cut instead of
        answering. False where no append came: then everything was cut."""
        self._fired.clear()
        with self._lock:
            self._drop_next = True
        self.armed.set()
        return self._await_fire()

    def freeze(self) -> None:
        """Pass nothing on, in either direction."""
        self._open.clear()

    def thaw(self) -> None:
        """Pass everything on again."""
        self._open.set()

    def cut_all(self) -> None:
        """Cut every connection."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.sever()

    def close(self) -> None:
        """Cut everything and listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.thaw()
        self.cut_all()
        self._thread.join(CONNECT_SECONDS)

    def _await_fire(self) -> bool:
        fired = self._fired.wait(FIRE_SECONDS)
        with self._lock:
            self._cut_after, self._drop_next = None, False
        self.armed.clear()
        if not fired:
            self.cut_all()
        return fired

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                database = socket.create_connection(self._target, CONNECT_SECONDS)
            except OSError:
                return
            with database:
                if database.getsockname() == database.getpeername():
                    return  # the database is down, and the socket found itself
                database.settimeout(None)
                self._link(_Link(client, database))

    def _link(self, link: _Link) -> None:
        for end in (link.client, link.database):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._links.add(link)
        answers = Thread(target=self._pass_answers, args=(link,), daemon=True)
        answers.start()
        self._pass_requests(link)
        answers.join()
        with self._lock:
            self._links.discard(link)

    def _pass_requests(self, link: _Link) -> None:
        with suppress(OSError):
            while chunk := link.client.recv(CHUNK):
                self._open.wait()
                link.appends = link.appends or APPEND in chunk
                allowed = self._allowed(link, len(chunk))
                link.database.sendall(chunk[:allowed])
                if allowed < len(chunk):
                    link.sever()
                    self._fired.set()
        link.sever()

    def _allowed(self, link: _Link, size: int) -> int:
        """How many bytes of a request may pass."""
        if not link.appends:
            return size
        with self._lock:
            if self._drop_next:
                self._drop_next = False
                link.swallows = True
            if self._cut_after is None:
                return size
            allowed = min(size, self._cut_after)
            self._cut_after -= allowed
            if allowed < size:
                self._cut_after = None
            return allowed

    def _pass_answers(self, link: _Link) -> None:
        tail = b""
        with suppress(OSError):
            while chunk := link.database.recv(CHUNK):
                self._open.wait()
                if not link.swallows:
                    link.client.sendall(chunk)
                    continue
                tail = (tail + chunk)[-len(READY) :]
                if tail == READY:
                    link.sever()
                    self._fired.set()
        link.sever()
