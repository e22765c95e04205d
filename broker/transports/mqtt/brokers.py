"""The brokers of a cluster, any of which will do."""

from __future__ import annotations

from collections.abc import Sequence

from broker.addresses import Address, parse_address


class Brokers:
    """All addresses of a cluster, often one, and which of them is tried now.

    Args:
        addresses: mqtt://HOST:PORT or mqtts://HOST:PORT of each, the first to try first.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = [parse_address(address, "mqtt", "mqtts") for address in addresses]
        self._turn = self._failures = 0

    @property
    def address(self) -> Address:
        """The one that is tried now."""
        return self._addresses[self._turn]

    @property
    def are_several(self) -> bool:
        """Whether there is more than one."""
        return len(self._addresses) > 1

    @property
    def is_last_hope(self) -> bool:
        """Whether all others have failed since one was reached."""
        return self._failures + 1 >= len(self._addresses)

    def reach(self) -> None:
        """The one that was tried has been reached."""
        self._failures = 0

    def turn(self) -> None:
        """Give up the one that was tried, for the next."""
        self._failures += 1
        self._turn = (self._turn + 1) % len(self._addresses)

    def __str__(self) -> str:
        return " or ".join(map(str, self._addresses))


def from_on(address: str, addresses: Sequence[str]) -> tuple[str, ...]:
    """A list of addresses as one goes through it round and round from `address` on, which may be in no list."""
    if address not in addresses:
        return (address,)
    place = addresses.index(address)
    return (*addresses[place:], *addresses[:place])
