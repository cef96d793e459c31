/**
 * Pages of a listing. A cursor is the key of the last entry, so a page stays right when entries
 * come and go meanwhile. Clients take it as it is; any text is a place in the order of the keys.
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

/** 1 MiB of entries on a page, but at least one entry. */
const MAX_PAGE_CHARS = 1_048_576;

/** A child's place in a listing: by its start, then by its id. */
export function keyOfChild({ startedAt, id }: { startedAt: string; id: string }): string {
  return `${startedAt}_${id}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * The page of these entries, sorted by their keys. It ends early where its JSON would be too long.
 *
 * @param until the last key up to which all entries are given. Default: all of them are.
 */
export function pageOf<T>(
  entries: readonly T[],
  {
    limit,
    cursor = "",
    keyOf,
    until,
  }: Page & { keyOf(entry: NoInfer<T>): string; until?: string | undefined },
): PageOf<T> {
  const keyed = entries
    .map((entry) => ({ entry, key: keyOf(entry) }))
    .filter(({ key }) => key > cursor && (until === undefined || key <= until))
    .sort((a, b) => compare(a.key, b.key));
  let chars = 0;
  const tooLong = keyed.slice(0, limit).findIndex(({ entry }) => {
    chars += JSON.stringify(entry).length;
    return chars > MAX_PAGE_CHARS;
  });
  const page = keyed.slice(0, tooLong < 0 ? limit : Math.max(1, tooLong));
  const last = page.at(-1);
  const isLast = keyed.length === page.length && until === undefined;
  return {
    entries: page.map(({ entry }) => entry),
    nextCursor: isLast || !last ? undefined : last.key,
  };
}

/** One page of two listings together, each of them one page of its own. */
export function mergedPage<T>(
  pages: readonly PageOf<T>[],
  options: Page & { keyOf(entry: NoInfer<T>): string },
): PageOf<T> {
  // Behind the end of a page, entries of its listing are missing.
  const [until] = pages.flatMap(({ nextCursor }) => nextCursor ?? []).sort(compare);
  return pageOf(
    pages.flatMap(({ entries }) => entries),
    { ...options, until },
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
