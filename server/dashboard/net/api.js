/** Requests of the contract's operations, at this page's own origin. */
import { change, session, signOut } from "./session.js";

/** 15 seconds for an answer that is no stream. */
const TIMEOUT_MS = 15_000;

/** A problem of the contract, or an answer that never came (`status` 0). */
export class Problem extends Error {
  constructor({ status = 0, code = "no_answer", title = "No answer", detail = "" }) {
    super(detail || title);
    Object.assign(this, { status, code, title });
  }
}

/** Sends a request. Resolves with an answer below 400. @throws {Problem} */
export async function send(path, { headers, ...init } = {}) {
  const { token } = session;
  let answer;
  try {
    answer = await fetch(path, {
      ...init,
      cache: "no-store",
      headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) },
    });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem({ detail: "the member does not answer" });
  }
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  if (answer.status === 401 && token === session.token)
    signOut(token ? "The token is no longer known here." : "This pool asks for a token.");
  throw new Problem({ ...problem, status: answer.status });
}

/** The JSON of an answer. An object as `body` is sent as JSON. @throws {Problem} */
export async function json(path, { body, method = body ? "POST" : "GET" } = {}) {
  const answer = await send(path, {
    method,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: body ? { "content-type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  return answer.json();
}

/** Asks what the token is for. @throws {Problem} */
export async function learnCaller() {
  const answer = await send("/caller", { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const aheadMs = Date.parse(answer.headers.get("date") ?? "") - Date.now();
  // The header has whole seconds, so a smaller difference may be none.
  const clockMs = Math.abs(aheadMs) > 2_000 ? aheadMs : 0;
  change({ caller: await answer.json(), clockMs, needsLogin: undefined });
}

const at = (id, rest = "") => `/children/${encodeURIComponent(id)}${rest}`;

/** The operations on one child. Each rejects with a {@link Problem}. */
export const child = {
  get: (id) => json(at(id)),
  result: async (id) => {
    const answer = await send(at(id, "/result"));
    return answer.status === 204 ? undefined : answer.json();
  },
  stop: (id, graceMs) =>
    json(at(id, graceMs === undefined ? "" : `?graceMs=${graceMs}`), { method: "DELETE" }),
  signal: (id, signal) => json(at(id, "/signal"), { body: { signal } }),
  stdin: (id, text, end) =>
    send(at(id, `/stdin?end=${end}`), {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: text,
    }),
  fileUrl: (id, path) => at(id, `/files/${path.split("/").map(encodeURIComponent).join("/")}`),
};

export const drain = (member) =>
  json(`/drain?member=${encodeURIComponent(member)}`, { method: "POST" });

/** Saves an artifact as a file of the browser's. @throws {Problem} */
export async function download(id, path) {
  const blob = await (await send(child.fileUrl(id, path))).blob();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = path.slice(path.lastIndexOf("/") + 1);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
