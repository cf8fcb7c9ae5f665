"""A real X display: Xvfb on a free number."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def xvfb(width: int = 1280, height: int = 720, *options: str) -> AsyncIterator[str]:
    """A display of this size, as the value of DISPLAY."""
    read_end, write_end = os.pipe()
    process = await asyncio.create_subprocess_exec(
        "Xvfb",
        "-displayfd",
        str(write_end),
        "-screen",
        "0",
        f"{width}x{height}x24",
        "-nolisten",
        "tcp",
        *options,
        pass_fds=[write_end],
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        number = await asyncio.wait_for(asyncio.to_thread(os.read, read_end, 16), 15.0)
        yield f":{int(number)}"
    finally:
        os.close(read_end)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
