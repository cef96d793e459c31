/** The token of this tab, and what the member says that it is for. */

const KEY = "dpool-token";

export const session = {
  token: sessionStorage.getItem(KEY) ?? undefined,
  /** As `GET /caller` answers; undefined before. */
  caller: undefined,
  /** The reason why the page asks for a token; undefined while it needs none. */
  needsLogin: undefined,
  /** Milliseconds by which the member's clock is ahead of the browser's. */
  clockMs: 0,
};

const listeners = new Set();

/** Calls back after each change. Returns a function that ends it. */
export function onSession(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function change(fields) {
  Object.assign(session, fields);
  for (const listener of listeners) listener();
}

export function keepToken(token) {
  sessionStorage.setItem(KEY, token);
  change({ token });
}

/** Forgets the token, and asks for another one. */
export function signOut(reason) {
  sessionStorage.removeItem(KEY);
  change({ token: undefined, caller: undefined, needsLogin: reason });
}

/** The time of the members. */
export const now = () => Date.now() + session.clockMs;

/**
 * The reason why the token may not do it; undefined when it may. Of a child without `call` or
 * `admin`, the caller itself may not be the owner.
 *
 * @param scopes the scopes one of which the operation needs.
 * @param of the pool, and the owner of the child, where there are any.
 */
export function forbidden(scopes, { pool, owner } = {}) {
  const { caller } = session;
  if (caller === undefined) return "the member has not said yet what this token is for";
  if (caller.scopes.includes("admin")) return undefined;
  if (!scopes.some((scope) => caller.scopes.includes(scope)))
    return `it needs the scope ${[...scopes, "admin"].join(" or ")}`;
  if (pool !== undefined && caller.pools && !caller.pools.includes(pool))
    return `the token is not for the pool ${pool}`;
  if (owner !== undefined && owner !== caller.name) return `the child belongs to ${owner}`;
  return undefined;
}
