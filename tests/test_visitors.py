"""The app with several people at once, and what it refuses: one too many, too much at once, who lacks the token."""

import asyncio
import contextlib

import psutil
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from tornado.websocket import WebSocketClosedError, websocket_connect

import visitors
from conftest import put_at_hand
from serlib.app import kernels


@pytest.fixture(scope="module")
def served(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    put_at_hand(made, folder)
    with visitors.served(folder, max_visitors=2) as (server, address):
        yield server, address


def come_alone(served):
    """Let one visitor come, who says what the first of `came` said, and return the answer."""
    return asyncio.run(visitors.come(served[1], visitors.say(0), asyncio.Barrier(1)))["answer"]


@pytest.fixture(scope="module")
def came(served):
    return asyncio.run(visitors.visit(served[1], 2, lambda: 0))


def test_each_visitor_gets_the_answer_to_what_was_said(came):
    one, other = came["visitors"]
    assert one["answer"] == one["expected"]
    assert other["answer"] == other["expected"]
    assert one["answer"] != other["answer"]


def test_one_too_many_is_asked_to_wait_and_let_in_later(served, came):
    assert came["late"].code == 503
    assert b'http-equiv="refresh"' in came["late"].body
    assert b"One moment, please" in came["late"].body
    assert come_alone(served) == came["visitors"][0]["expected"], "all have left"


def test_a_message_larger_than_any_recording_ends_the_connection_and_nothing_else(served, came):
    async def send():
        async with visitors.entered(served[1]) as (_, connection):
            with contextlib.suppress(WebSocketClosedError):  # it may be closed while it is still written to
                await connection.write_message(bytes(11_000_000), binary=True)
            while await asyncio.wait_for(connection.read_message(), visitors.PATIENCE_S) is not None:
                pass

    asyncio.run(send())  # which ends when the connection does
    assert come_alone(served) == came["visitors"][0]["expected"]


def test_it_listens_to_this_machine_only(served):
    async def listening():
        async with visitors.entered(served[1]):
            family = [psutil.Process(served[0].pid), *psutil.Process(served[0].pid).children(recursive=True)]
            inet = [where for one in family for where in one.net_connections("inet") if where.status == "LISTEN"]
            return len(family), {where.laddr.ip for where in inet}

    n_processes, addresses = asyncio.run(listening())
    assert n_processes > 1
    assert addresses == {"127.0.0.1"}


def test_without_the_token_nothing_is_served(served):
    base = served[1].split("/?")[0]

    async def ask(path):
        return await AsyncHTTPClient().fetch(base + path, raise_error=False, follow_redirects=False)

    async def enter():
        async with visitors.entered(served[1]) as (kernel, _):
            await websocket_connect(f"{base}/api/kernels/{kernel}/channels".replace("http", "ws", 1))

    for path in ("/", "/api/kernels", "/api/contents"):
        assert asyncio.run(ask(path)).headers["Location"].startswith("/login")
    assert asyncio.run(ask("/voila/files/app.ipynb")).code == 403
    with pytest.raises(HTTPClientError, match="403"):
        asyncio.run(enter())


def test_kernels_speak_through_the_file_system_where_it_can_hold_their_sockets(monkeypatch):
    assert kernels.transport("/tmp/voila") == "ipc"
    assert kernels.transport("/tmp/" + "long" * 20) == "tcp"  # as folders of macOS are
    monkeypatch.setattr(kernels.zmq, "has", lambda capability: False)  # as on Windows
    assert kernels.transport("/tmp/voila") == "tcp"
