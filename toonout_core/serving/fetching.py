"""Fetch a picture from an address that a stranger gave, and from the public internet only.

A server that follows any address can be used to reach what only its own machine or network may
reach. So each address is resolved here, refused unless it is public, and connected to as it was
resolved: a name cannot mean something else a moment later. Redirects go the same way again.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, plain

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from yarl import URL

MOST_REDIRECTS = 5
PATIENCE_S = 30.0  # for all of it
_REDIRECTS = {301, 302, 303, 307, 308}
_BLOCK = 1 << 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


async def fetch(url: str, most_bytes: int) -> bytes:
    """What lies at the address, at most `most_bytes`. Raises BadInput in all other cases."""
    from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector
    from yarl import URL

    timeout = ClientTimeout(total=PATIENCE_S)
    connector = TCPConnector(resolver=_PublicOnly(), use_dns_cache=False)  # pyright: ignore
    # a packed body could grow without end: it is asked for as it is, and never unpacked
    headers = {"Accept-Encoding": "identity", "User-Agent": "toonout"}
    try:
        async with ClientSession(
            connector=connector, timeout=timeout, headers=headers, auto_decompress=False
        ) as session:
            place = URL(url)
            for _ in range(MOST_REDIRECTS + 1):
                require_web(place)
                async with session.get(place, allow_redirects=False) as response:
                    location = response.headers.get("Location", "")
                    if response.status not in _REDIRECTS or not location:
                        return await _content(response, most_bytes)
                    place = response.url.join(URL(location))
    except (ClientError, OSError, TimeoutError, ValueError) as error:
        raise BadInput(
            "url must lead to a picture that can be fetched", plain(error) or type(error).__name__
        ) from error
    raise BadInput(f"url must lead there with at most {MOST_REDIRECTS} redirects", "more")


def require_web(url: URL) -> None:
    """Raises BadInput for what is no http address, holds a password, or names a private one."""
    if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
        raise BadInput(
            "url must be an http or https address without a password", plain(repr(str(url)), 100)
        )
    try:
        literal = ipaddress.ip_address(url.host.partition("%")[0])
    except ValueError:
        if ":" in url.host or url.host.replace(".", "").isdigit():
            raise _refusal(url.host) from None  # a number that some systems take for an address
        return
    if not is_public(literal):
        raise _refusal(url.host)


def is_public(address: Address) -> bool:
    """Whether it belongs to the public internet, also what is packed into an IPv6 address."""
    if isinstance(address, ipaddress.IPv6Address):
        packed = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            packed = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if packed is not None:
            return is_public(packed)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


class _PublicOnly:
    """Resolves names as aiohttp does; what it returns is what is connected to."""

    def __init__(self) -> None:
        from aiohttp import ThreadedResolver

        self._inner = ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, **how: Any) -> list[Any]:
        found = await self._inner.resolve(host, port, **how)
        for result in found:
            if not is_public(ipaddress.ip_address(result["host"].partition("%")[0])):
                raise _refusal(host)
        return list(found)

    async def close(self) -> None:
        await self._inner.close()


def _refusal(host: str) -> BadInput:
    return BadInput(
        "url must be on the public internet",
        f"{plain(host, 100)}, which is of this machine or of a private network",
        "Send the picture itself.",
    )


async def _content(response: ClientResponse, most_bytes: int) -> bytes:
    if response.status != 200:
        raise BadInput("url must answer with a picture", f"status {response.status}")
    content = bytearray()
    async for block in response.content.iter_chunked(_BLOCK):
        content += block
        if len(content) > most_bytes:
            raise BadInput(f"url must lead to at most {most_bytes / 1e6:.0f} MB", "more")
    return bytes(content)
