"""Call functions and commands on the least loaded machine of a named pool.

Example:
    >>> from distributed_pool import DistributedPool
    >>> def add(a, b):
    ...     return a + b
    >>> with DistributedPool("http://127.0.0.1:7400") as pool:
    ...     print(pool.call("pipeline", add, 1211, 1))
    1212
"""

from .aio import AsyncDistributedPool
from .calls.bar import MapProgress
from .calls.results import Result
from .calls.spec import CallOptions
from .child import AsyncChildHandle
from .consul.options import ConsulOptions
from .errors import (
    CapacityError,
    FunctionThrewError,
    MemberLostError,
    PoolError,
    RemoteError,
)
from .executor import PoolExecutor
from .functions import Task
from .handle import ChildHandle
from .http.events import PoolEvent, output_bytes
from .http.tls import Tls
from .pool import DistributedPool

__version__ = "0.2.0"

__all__ = [
    "AsyncChildHandle",
    "AsyncDistributedPool",
    "CallOptions",
    "CapacityError",
    "ChildHandle",
    "ConsulOptions",
    "DistributedPool",
    "FunctionThrewError",
    "MapProgress",
    "MemberLostError",
    "PoolError",
    "PoolEvent",
    "PoolExecutor",
    "RemoteError",
    "Result",
    "Task",
    "Tls",
    "output_bytes",
]
