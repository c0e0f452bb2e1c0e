"""What git says when a network or a server has a bad moment, and asking again may help."""

from __future__ import annotations

import re

_PASSING = re.compile(
    rb"could not resolve host|temporary failure in name resolution|connection (?:timed out|reset|refused)"
    rb"|failed to connect|operation timed out|operation too slow|network is unreachable|no route to host"
    rb"|early eof|the remote end hung up|unexpected disconnect|rpc failed|kex_exchange_identification"
    rb"|connection closed by|gnutls_handshake\(\) failed|ssl_error_syscall|empty reply from server"
    rb"|requested url returned error: (?:408|425|429|500|502|503|504)",
    re.IGNORECASE,
)
# These come with some of the words above, and stay as they are however often one asks.
_FINAL = re.compile(
    rb"authentication failed|permission denied|repository not found|returned error: (?:401|403|404)"
    rb"|certificate|host key verification",
    re.IGNORECASE,
)
_NO_CONNECTION = re.compile(rb"could not resolve host|failed to connect|connection refused|no route", re.IGNORECASE)


def passes(said: bytes) -> bool:
    """Whether what git wrote tells of something that may be otherwise the next time."""
    return bool(_PASSING.search(said)) and not _FINAL.search(said)


def is_unreachable(said: bytes) -> bool:
    """Whether nobody was there at all: who is not there will hardly be there in a second."""
    return bool(_NO_CONNECTION.search(said))
