"""The members of pools, and the rules for which of them a client asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Mapping, Optional, Protocol, Sequence
from urllib.parse import urlsplit

from ..errors import PoolError, failure

SERVICE = "distributed-pool"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.[0-9a-f]{32}")
_LOOPBACK = re.compile(r"127\.\d{1,3}\.\d{1,3}\.\d{1,3}|::1|localhost")
#: The levels of a sandbox, the strongest first.
_LEVELS = ("full", "no-cgroup", "none")
#: The keys that members of version 0.1.0 accept; those do not announce any.
_FIRST_KEYS = frozenset(
    "command function task env stdin files artifacts limits sandbox outputEncoding waitMs "
    "deadlineMs link labels limits.memoryBytes limits.processes limits.cpus limits.cpuMs "
    "limits.workspaceBytes limits.openFiles limits.outputBytes limits.artifactBytes".split()
)
_MAX_CHILDREN = "maxChildren-"


@dataclass(frozen=True)
class Member:
    """A server process that belongs to pools. Its load is not among these facts."""

    name: str
    url: str
    #: The number of slots in each of its pools.
    pools: Mapping[str, int]
    sandbox: str = "none"
    version: str = "unknown"
    spec_keys: FrozenSet[str] = _FIRST_KEYS
    #: Names the member's process, so that a request is repeated at no other one.
    boot: Optional[str] = None
    #: Whether its checks pass. They fail while it drains, and once it is lost.
    passing: bool = True


class Members(Protocol):
    """A watched list of members. Only the first answer may take time."""

    async def in_pool(self, pool: str) -> Sequence[Member]:
        """The members of a pool that may admit children."""

    async def registered(self) -> Sequence[Member]:
        """The members of all pools, also while they drain or are lost."""

    async def find(self, name: str) -> Optional[Member]:
        """The member of this name, also while it drains."""

    async def aclose(self) -> None:
        """Stops watching."""


def member_of(entry: Any) -> Optional[Member]:
    """The member that an entry of Consul's health list describes; None for another program."""
    service = entry["Service"]
    meta: Dict[str, str] = service.get("Meta") or {}
    name, port = meta.get("member"), service.get("Port")
    if name is None or not port:
        return None
    pools: Dict[str, int] = {}
    for key, value in meta.items():
        pool = key[len(_MAX_CHILDREN) :] if key.startswith(_MAX_CHILDREN) else ""
        if NAME.fullmatch(pool) and value.isdecimal():
            pools[pool] = int(value)
    scheme = "https" if meta.get("scheme") == "https" else "http"
    address = service.get("Address") or entry["Node"]["Address"]
    host = f"[{address}]" if ":" in address else address
    sandbox = meta.get("sandbox", "none")
    return Member(
        name=name,
        url=f"{scheme}://{host}:{port}",
        pools=pools,
        sandbox=sandbox if sandbox in _LEVELS else "none",
        version=meta.get("version", "unknown"),
        spec_keys=frozenset(meta["spec"].split()) if "spec" in meta else _FIRST_KEYS,
        boot=meta.get("boot"),
        passing=all(check["Status"] == "passing" for check in entry["Checks"]),
    )


def is_readable(url: str) -> bool:
    """Whether others on the network can read what is sent to this URL."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _LOOPBACK.fullmatch(parts.hostname or "")


def fitting(pool: str, spec: Mapping[str, Any], members: Sequence[Member]) -> Sequence[Member]:
    """The members that know every key of the spec, and whose sandbox is strong enough.

    Raises:
        PoolError: `no_members_available` where there are members, but none that fits.
    """
    used = [*spec, *(f"limits.{key}" for key in spec.get("limits") or {})]
    keys = [key for key in used if key not in _FIRST_KEYS]
    knowing = [each for each in members if all(key in each.spec_keys for key in keys)]
    if members and not knowing:
        detail = f"expected a member that knows {', '.join(keys)}; none of its {len(members)} does"
        raise failure("no_members_available", f"pool {pool}: {detail}")
    demanded = spec.get("sandbox")
    if demanded is None or not knowing:
        return knowing if keys else members
    rank = _LEVELS.index(demanded) if demanded in _LEVELS else 0
    strong = [each for each in knowing if _LEVELS.index(each.sandbox) <= rank]
    if strong:
        return strong
    levels = ", ".join(sorted({each.sandbox for each in knowing}))
    detail = f"expected a member of sandbox level {demanded} or stronger; they have {levels}"
    raise failure("no_members_available", f"pool {pool}: {detail}")


def owner_of(child: str) -> str:
    """The name of the member in a child's id.

    Raises:
        PoolError: `invalid_request` for another string.
    """
    if not isinstance(child, str) or not _ID.fullmatch(child):
        detail = "expected a child id: a member name, a dot, 32 hexadecimal digits"
        raise failure("invalid_request", f"{detail}; got {child!r}")
    return child.rpartition(".")[0]


async def nobody_in(pool: str, members: Members) -> PoolError:
    """The error for a pool in which no member may admit children."""
    registered = await members.registered()
    count = sum(pool in each.pools for each in registered)
    if count > 0:
        detail = f"none of its {count} members is ready; they start, drain, are lost or not trusted"
        return failure("no_members_available", f"pool {pool}: {detail}")
    names: List[str] = sorted({name for each in registered for name in each.pools})[:20]
    known = ", ".join(names) or "none"
    return failure("pool_not_found", f"no member serves pool {pool}; the pools are: {known}")
