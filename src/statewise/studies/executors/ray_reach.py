"""Whether something that could be a Ray cluster answers at an address: Ray itself takes two minutes to say no."""

import socket

from statewise.core.errors import UsageError

SECONDS_TO_ANSWER = 5.0
"""More than a call around the world takes."""

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What a client of gRPC, which heads speak, says first: HTTP/2's preface and empty settings. RFC 9113, 3.4."""

HOW = "`ray start --head` prints the address to give, and its port must be open"

SETTINGS, KIND_AT = 4, 3
"""A server answers with a frame of settings; the fourth byte of a frame is its kind."""


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of an address. What is none is a UsageError.

    >>> host_and_port("node-1:6379")
    ('node-1', 6379)
    """
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 2**16) or "/" in host:
        raise UsageError(f"ray: address is {address!r}; it must be HOST:PORT of a cluster's head, or auto")
    return host.strip("[]"), int(port)


def check_reachable(address: str, *, seconds: float = SECONDS_TO_ANSWER) -> None:
    """A UsageError unless a server of HTTP/2 answers at HOST:PORT within `seconds` for each of its two steps."""
    try:
        with socket.create_connection(host_and_port(address), timeout=seconds) as connection:
            connection.sendall(HELLO)
            answer = connection.recv(KIND_AT + 1, socket.MSG_WAITALL)
    except OSError as error:
        why = "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
        raise UsageError(f"ray: no cluster can be reached at {address} ({why}); {HOW}") from None
    if len(answer) <= KIND_AT or answer[KIND_AT] != SETTINGS:
        raise UsageError(f"ray: what answers at {address} is not the head of a cluster; {HOW}")
