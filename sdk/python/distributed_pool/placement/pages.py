"""The pages of a listing."""

from __future__ import annotations

from typing import Any, AsyncIterator, Awaitable, Callable, Optional

from ..errors import failure

#: 1,000 entries: the largest page.
PAGE_ENTRIES = "1000"
#: 1,000 pages, which is a million entries. A longer listing is most likely an endless one.
_MAX_PAGES = 1_000


async def all_pages(read: Callable[[Optional[str]], Awaitable[Any]]) -> AsyncIterator[Any]:
    """All pages of a listing, one after the other.

    Args:
        read: reads the page behind a cursor; None is the first page.

    Raises:
        PoolError: `payload_too_large` after 1,000 pages; the errors of `read`.
    """
    cursor: Optional[str] = None
    for _ in range(_MAX_PAGES):
        page = await read(cursor)
        yield page
        cursor = page.get("nextCursor")
        if cursor is None:
            return
    raise failure("payload_too_large", f"expected a listing of at most {_MAX_PAGES} pages")
