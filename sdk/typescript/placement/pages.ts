/**
 * Pages of a listing. A cursor is the key of the last entry, so a page stays right when entries
 * come and go meanwhile. Clients take it as it is.
 */
import { PoolError } from "../../../openapi/errors.ts";

/** Which page of a listing. */
export interface Page {
  /** The most entries, 1 to 1,000. */
  readonly limit: number;
  /** The `nextCursor` of the page before. Default: the first page. */
  readonly cursor?: string | undefined;
}

/** The entries of one page, and the cursor of the next one; undefined on the last page. */
export interface PageOf<T> {
  readonly entries: readonly T[];
  readonly nextCursor: string | undefined;
}

/** The largest page. */
const MAX_LIMIT = 1_000;
/** 1,000 pages, which is a million entries. A longer listing is most likely an endless one. */
const MAX_PAGES = 1_000;

/** A child's place in a listing: by its start, then by its id. */
export function keyOfChild({ startedAt, id }: { startedAt: string; id: string }): string {
  return `${startedAt} ${id}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The page of these entries, sorted by their keys.
 *
 * @param more whether more entries follow than are given.
 * @throws {PoolError} `invalid_request` for a cursor that no listing gave.
 */
export function pageOf<T>(
  entries: readonly T[],
  {
    limit,
    cursor,
    keyOf,
    more = false,
  }: Page & { keyOf(entry: NoInfer<T>): string; more?: boolean },
): PageOf<T> {
  const after = cursor === undefined ? "" : keyIn(cursor);
  const keyed = entries
    .map((entry) => ({ entry, key: keyOf(entry) }))
    .filter(({ key }) => key > after)
    .sort((a, b) => compare(a.key, b.key));
  const page = keyed.slice(0, limit);
  const last = page.at(-1);
  const isLast = keyed.length <= limit && !more;
  return {
    entries: page.map(({ entry }) => entry),
    nextCursor: isLast || !last ? undefined : cursorOf(last.key),
  };
}

/** The cursor of a key, in the characters that a query takes as they are. */
function cursorOf(key: string): string {
  return btoa(key).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function keyIn(cursor: string): string {
  try {
    const key = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
    if (key !== "") return key;
  } catch {
    // The message below covers it.
  }
  throw PoolError.of(
    "invalid_request",
    "/cursor: expected the nextCursor of a page; got another text",
  );
}

/** The cursor of the next page as an answer has it: absent on the last page. */
export function nextOf({ nextCursor }: PageOf<unknown>): { nextCursor?: string } {
  return nextCursor === undefined ? {} : { nextCursor };
}

/**
 * All pages of a listing, one after the other.
 *
 * @param read reads one page.
 * @throws {PoolError} `payload_too_large` after a million entries; the errors of `read`.
 */
export async function* allPages<P extends { readonly nextCursor?: string | undefined }>(
  read: (page: Page) => Promise<P>,
): AsyncGenerator<P, void, undefined> {
  let cursor: string | undefined;
  for (let count = 0; count < MAX_PAGES; count++) {
    const page = await read({ limit: MAX_LIMIT, cursor });
    yield page;
    cursor = page.nextCursor;
    if (cursor === undefined) return;
  }
  throw PoolError.of("payload_too_large", `expected a listing of at most ${MAX_PAGES} pages`);
}
