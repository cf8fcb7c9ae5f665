"""Gives a display another size, as its person does in their settings: a program.

    DISPLAY=:7 python -m tests.support.resize WIDTH HEIGHT

No larger than the size that the server was started with. A program, because Xlib
ends the process at an error.
"""

from __future__ import annotations

import ctypes
import sys

MILLIMETRES = (300, 200)


class _Resources(ctypes.Structure):
    """XRRScreenResources, as far as the controllers."""

    _fields_ = (
        ("timestamp", ctypes.c_ulong),
        ("config_timestamp", ctypes.c_ulong),
        ("ncrtc", ctypes.c_int),
        ("crtcs", ctypes.POINTER(ctypes.c_ulong)),
    )


def main() -> None:
    """Take the monitor away, so that no mode stands in the way; then set the size."""
    width, height = int(sys.argv[1]), int(sys.argv[2])
    x, randr = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXrandr.so.2")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XDefaultRootWindow.restype = ctypes.c_ulong
    randr.XRRGetScreenResources.restype = ctypes.POINTER(_Resources)
    display = ctypes.c_void_p(x.XOpenDisplay(None))
    if not display:
        raise SystemExit("no display")
    root = ctypes.c_ulong(x.XDefaultRootWindow(display))
    resources = randr.XRRGetScreenResources(display, root)
    none, now, upright = ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ushort(1)
    for index in range(resources.contents.ncrtc):
        controller = ctypes.c_ulong(resources.contents.crtcs[index])
        randr.XRRSetCrtcConfig(display, resources, controller, now, 0, 0, none, upright, None, 0)
    randr.XRRSetScreenSize(display, root, width, height, *MILLIMETRES)
    x.XSync(display, 0)


if __name__ == "__main__":
    main()
