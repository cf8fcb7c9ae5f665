"""A second host on this machine: a network namespace at the end of a veth pair."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

from msgspec import Struct

_ROOT = () if os.geteuid() == 0 else ("sudo", "--non-interactive", "--preserve-env")


class Host(Struct, frozen=True):
    """One such host and the link to it."""

    name: str
    link: str  # our end of the pair
    our_address: str
    address: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command there."""
        return (*_ROOT, "ip", "netns", "exec", self.name)

    def cut(self) -> None:
        """Pull the cable."""
        _ip("link", "set", self.link, "down")

    def mend(self) -> None:
        """Put it back."""
        _ip("link", "set", self.link, "up")

    def shape(self, *options: str) -> None:
        """Let no more than this through on the way there (tc-tbf)."""
        command = ["tc", "qdisc", "replace", "dev", self.link, "root", "tbf", *options]
        subprocess.run([*_ROOT, *command], check=True)

    def run(self, *command: str) -> None:
        """Run one command there."""
        subprocess.run([*self.prefix, *command], check=True)


@contextlib.contextmanager
def host() -> Iterator[Host]:
    """Make a namespace with its link; needs root, or sudo that asks nothing."""
    tag = f"{os.getpid() % 10_000:04}"
    subnet = f"10.211.{os.getpid() % 250}"
    made = Host(f"ayuda-{tag}", f"ay{tag}a", f"{subnet}.1", f"{subnet}.2")
    _ip("netns", "add", made.name)
    try:
        peer = f"ay{tag}b"
        _ip("link", "add", made.link, "type", "veth", "peer", "name", peer, "netns", made.name)
        _ip("addr", "add", f"{made.our_address}/30", "dev", made.link)
        _ip("link", "set", made.link, "up")
        _ip("-n", made.name, "addr", "add", f"{made.address}/30", "dev", peer)
        _ip("-n", made.name, "link", "set", peer, "up")
        _ip("-n", made.name, "link", "set", "lo", "up")
        yield made
    finally:
        _ip("netns", "delete", made.name)


def _ip(*arguments: str) -> None:
    subprocess.run([*_ROOT, "ip", *arguments], check=True)
