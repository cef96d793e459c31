/** Names and ids: of pools, members, children, slots, tasks and sources. */

/** The characters that Consul allows in keys of service metadata, which carry pool names. */
export const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

export const NAME_RULE = "1 to 63 of A-Z a-z 0-9 _ -, beginning with a letter or a digit";

/** The id of a child or a slot: the name of its member, a dot, and 32 hexadecimal digits. */
export const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\.[0-9a-f]{32}$/;

/** 32 hexadecimal digits that nobody guesses: they have 122 random bits. */
export const randomDigits = () => crypto.randomUUID().replaceAll("-", "");

/** An idempotency key: visible ASCII characters. */
export const IDEMPOTENCY_KEY = /^[!-~]{1,255}$/;

/** The member of the child in a URL, by the child's id; undefined for a URL without a child. */
export function memberInUrl(url: string): string | undefined {
  return /^[^?]*\/children\/([\w-]+)\.[0-9a-f]{32}(?=[/?]|$)/.exec(url)?.[1];
}

/** The name of the member that owns a child: the first part of the child's id. */
export function memberOfChild(id: string): string {
  return id.slice(0, id.lastIndexOf("."));
}

/** The header that carries the child spec, as JSON in ASCII, beside a body that is the input. */
export const SPEC_HEADER = "pool-spec";

/** The header that carries an idempotency key, in lower case. */
export const KEY_HEADER = "idempotency-key";

/** The header that names the last event which a client has read, in lower case. */
export const LAST_EVENT_HEADER = "last-event-id";

/** The header that names one try of a client to be admitted by a member. */
export const REQUEST_HEADER = "pool-request-id";

/** The header that tells for how many milliseconds a client has waited for the slot it claims. */
export const WAITED_HEADER = "pool-waited-ms";

/** The header that names the child of an answer, for clients that also reach it by its id. */
export const CHILD_HEADER = "pool-child-id";

/** The signals that a caller may send. */
export const SIGNALS = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGTERM",
  "SIGKILL",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGWINCH",
] as const;

/** The states of a child. */
export const CHILD_STATUSES = ["running", "stopping", "ended"] as const;
