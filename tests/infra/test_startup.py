"""Listening: what the operating system is asked for."""

import errno
import socket

import pytest

from infra import startup


def send_until_it_breaks(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65_536)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux alone has this option")
def test_who_takes_nothing_for_too_long_loses_the_connection() -> None:
    listener = startup.listen("127.0.0.1", 0, stalled_ms=300)
    with listener, socket.create_connection(listener.getsockname()):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            accepted.settimeout(20)
            with pytest.raises(TimeoutError) as caught:
                send_until_it_breaks(accepted)
    assert caught.value.errno == errno.ETIMEDOUT
