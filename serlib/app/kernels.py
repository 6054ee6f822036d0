"""The app's kernels: one for each visitor, as many as this machine has room for; who comes later is asked to wait."""

import os

import zmq
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado import web
from traitlets import Int


class Kernels(AsyncMappingKernelManager):
    """Kernels up to a limit; beyond it, the page ``503.html`` is shown, which tries again by itself.

    A kernel ends when its page is closed, or, where the page could not say so, some time after it was last heard of.
    """

    max_visitors = Int(20, config=True, help="How many may use the app at once; each takes up to 300 MB of memory.")

    def __init__(self, **how):
        super().__init__(**how)
        self.config.KernelManager.transport = transport(self.connection_dir)
        self._n_starting, self._started = 0, set()

    async def start_kernel(self, **how):
        self._started.intersection_update(self.list_kernel_ids())
        if self._n_starting + len(self._started) >= self.max_visitors:
            raise web.HTTPError(503)
        self._n_starting += 1
        try:
            started = await super().start_kernel(**how)
        finally:
            self._n_starting -= 1
        self._started.add(started)
        return started


def transport(folder):
    """Return ``"ipc"``, sockets that nobody else on this machine can reach, where the system has them; else ``"tcp"``.

    Parameters
    ----------
    folder : path-like
        Where connection files and sockets go; the system limits how long a socket's path may be.
    """
    longest = os.fsencode(os.path.join(folder, f"kernel-{'0' * 36}-ipc-5"))
    return "ipc" if zmq.has("ipc") and len(longest) <= zmq.IPC_PATH_MAX_LEN else "tcp"
