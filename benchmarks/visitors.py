"""Many people open the app at once, each says something else, and each must get the answer to it.

``python benchmarks/visitors.py`` serves the app as ``make app`` does, and lets visitors come together, as programs that
speak the browser's part of the conversation: they open the page, hand over a recording as the recorder does, and wait
for the bars of what the model says. One more comes while all are there. It prints how long the answers took, how
many were right, how much memory the app took, and how much of it came back. ``--visitors 5`` lets fewer come.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import numpy as np
import psutil
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import websocket_connect

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from conftest import free_port, wait_for
from serlib import bundle, labels, synthetic, widgets

APP = Path(__file__).parents[1] / "serlib" / "app"
SR = 16000
PATIENCE_S = 300
PROTOCOL = "v1.kernel.websocket.jupyter.org"
AsyncHTTPClient.configure(None, max_clients=100, defaults={"connect_timeout": PATIENCE_S})


def main():
    """Serve the app, let the visitors come, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visitors", type=int, default=20)
    n = parser.parse_args().visitors
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), max_visitors=n) as (server, address):
        before_mb = memory_mb(server)
        came = asyncio.run(visit(address, n, lambda: memory_mb(server)))
        time.sleep(5)
        after_mb = memory_mb(server)
    n_right = sum(visitor["answer"] == visitor["expected"] for visitor in came["visitors"])
    took_s = sorted(visitor["answered_s"] for visitor in came["visitors"])
    print(f"{n} visitors at once: {n_right} got the answer to what they said")
    print(f"answered after {took_s[0]:.0f} to {took_s[-1]:.0f} s, median {np.median(took_s):.0f} s")
    print(f"one more was asked to wait: {came['late'].code == 503}")
    print(f"memory: {before_mb:.0f} MB before, {came['memory_mb']:.0f} MB with all there, {after_mb:.0f} MB after")
    return 0 if n_right == n and came["late"].code == 503 else 1


@contextlib.contextmanager
def served(folder, *, max_visitors):
    """Serve the app in the tiny profile with a folder as its working folder, and stop it.

    Yields
    ------
    server : subprocess.Popen
    address : str
        With its token.
    """
    port, token = free_port(), uuid.uuid4().hex
    env = os.environ | {
        "SERLIB_PROFILE": "tiny",
        "JUPYTER_PATH": str(APP),
        "JUPYTER_CONFIG_PATH": str(APP),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    command = [sys.executable, "-m", "voila", str(APP / "app.ipynb"), "--no-browser", f"--port={port}"]
    command += [f"--token={token}", f"--Kernels.max_visitors={max_visitors}"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/voila/static/voila.js", server)
            yield server, f"http://127.0.0.1:{port}/?token={token}"
        finally:
            server.terminate()
            server.wait(PATIENCE_S)


def memory_mb(server):
    """Return the memory of a server and all its kernels in MB; what they share is counted once (PSS)."""
    processes = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 1e6


async def visit(address, n, measure):
    """Let `n` visitors come together, and one more while they are there.

    Parameters
    ----------
    address : str
    n : int
    measure : callable
        Called while all are there.

    Returns
    -------
    dict
        ``visitors``: of each ``answer``, ``expected`` and ``answered_s``; ``late``: the HTTP response that the one more
        got; ``memory_mb``: what `measure` returned.
    """
    spoken = [say(k) for k in range(n)]
    expected = [expected_of(pcm) for pcm in spoken]
    await come(address, spoken[0], asyncio.Barrier(1))  # makes the corpora to be explored, if there are none
    if len(set(expected)) < n:
        raise ValueError("two recordings have the same answer; nobody could see whose it is")
    everybody = asyncio.Barrier(n + 1)
    async with asyncio.TaskGroup() as group:
        coming = [group.create_task(come(address, pcm, everybody)) for pcm in spoken]
        await everybody.wait()
        memory_mb = measure()
        late = await AsyncHTTPClient().fetch(address, raise_error=False, request_timeout=PATIENCE_S)
        await everybody.wait()  # now they may leave
    visitors = [task.result() | {"expected": answer} for task, answer in zip(coming, expected, strict=True)]
    return {"visitors": visitors, "late": late, "memory_mb": memory_mb}


def say(k):
    """Return what the visitor with number `k` says: mono 16-bit PCM at `SR` Hz."""
    emotion = labels.EMOTIONS[k % len(labels.EMOTIONS)]
    signal = synthetic.speech(emotion, f"visitor {k}", gender=("female", "male")[k % 2], sr=SR)
    return np.round(32767 * signal).astype("<i2").tobytes()


def expected_of(pcm):
    """Return how the app shall describe its answer to a recording."""
    alone = widgets.talk(bundle.shipped())
    alone.controls["voice"].recorder.value = (pcm, SR)
    return alone.message.value + alone.picture.alt


async def come(address, pcm, everybody):
    """Open the page, hand over a recording, wait for the answer and for everybody else's, and leave.

    Returns
    -------
    dict
        ``answer``: its words, and those for its picture; ``answered_s``: how long after the visitor came.
    """
    began_s = time.perf_counter()
    async with entered(address) as (_, connection):
        opening = {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}}
        await _send(connection, "comm_open", opening)
        await _send(connection, "comm_msg", {"comm_id": "control", "data": {"method": "request_states"}})
        states = (await _heard(connection, lambda data: data.get("method") == "update_states"))["states"]
        (recorder,) = [name for name, model in states.items() if "max_duration_s" in model["state"]]
        recorded = {"comm_id": recorder, "data": {"method": "custom", "content": {"sample_rate_hz": SR}}}
        await _send(connection, "comm_msg", recorded, buffers=[pcm])
        said = await _heard(connection, lambda data: 'role="status"' in data.get("state", {}).get("value", ""))
        seen = await _heard(connection, lambda data: data.get("state", {}).get("alt", "").startswith("Bars of"))
        answered_s = time.perf_counter() - began_s
        await everybody.wait()
        await everybody.wait()
    return {"answer": said["state"]["value"] + seen["state"]["alt"], "answered_s": answered_s}


@contextlib.asynccontextmanager
async def entered(address):
    """Open the page, yield the id of its kernel and the connection to it, and close both."""
    page = await AsyncHTTPClient().fetch(address, request_timeout=PATIENCE_S)
    kernel = re.search(r'"kernelId": "([\w-]+)"', page.body.decode())[1]
    channels = address.replace("http", "ws", 1).replace("/?", f"/api/kernels/{kernel}/channels?")
    connection = await websocket_connect(channels, subprotocols=[PROTOCOL], max_message_size=50_000_000)
    try:
        yield kernel, connection
    finally:
        connection.close()
        closed = address.replace("/?", f"/voila/api/shutdown/{kernel}?")
        await AsyncHTTPClient().fetch(closed, method="POST", body="", request_timeout=PATIENCE_S)


async def _send(connection, kind, content, buffers=()):
    """Send a message to the kernel, as Jupyter's protocol has it."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": "visitor", "username": "", "version": "5.3"}
    metadata = {"version": "1.0.0"}  # of the protocol by which all widgets are asked for
    parts = [json.dumps(part).encode() for part in (header, {}, metadata, content)]
    await connection.write_message(serialize_msg_to_ws_v1([*parts, *buffers], "shell"), binary=True)


async def _heard(connection, is_wanted):
    """Wait until the kernel says to a widget what is wanted, and return it."""
    while (received := await asyncio.wait_for(connection.read_message(), PATIENCE_S)) is not None:
        _, (header, _, _, content, *_) = deserialize_msg_from_ws_v1(received)
        data = json.loads(content).get("data", {})
        if json.loads(header)["msg_type"] == "comm_msg" and is_wanted(data):
            return data
    raise ConnectionError("the server has closed the connection")


if __name__ == "__main__":
    sys.exit(main())
