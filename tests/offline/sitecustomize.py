"""Refuse what would leave this machine: Python imports this at its start wherever this folder is in ``PYTHONPATH``.

Each attempt is written to the file that ``SERLIB_REFUSED`` names, since a program may pass over the refusal.
"""

import ipaddress
import os
import sys

EVENTS = {  # which argument says where to
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}


def refuse(event, arguments):
    if event not in EVENTS:
        return
    where = arguments[EVENTS[event]]
    host = where[0] if isinstance(where, tuple) else where
    if not is_here(host):
        with open(os.environ["SERLIB_REFUSED"], "a", encoding="utf-8") as file:
            print(event, host, *sys.argv, file=file)
        raise OSError(f"{event} {host}: refused, since it would leave this machine")


def is_here(host):
    """Whether a host is this machine: nothing, the path of a Unix socket, or a loopback address."""
    if isinstance(host, bytes):
        host = host.decode()
    if not host or host == "localhost" or host.startswith(("/", "\0")):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(refuse)
