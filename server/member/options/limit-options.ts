/** The options that bound what callers may ask for. */
import { DAY_MS, GIB, MIB } from "./constants.ts";
import { type MemberOption, whole } from "./option.ts";

export const LIMIT_OPTIONS = {
  maxBodyBytes: {
    value: "BYTES",
    doc:
      "Largest request body, or child spec in a multipart one. " +
      "Multipart bodies and a child's input have limits of their own.",
    schema: whole(1_024, GIB),
    default: 16 * MIB,
    reload: true,
  },
  maxUploadBytes: {
    value: "BYTES",
    doc:
      "Largest multipart body, or input of a placed child that comes with it. " +
      "The member keeps at most four times as much at a time, on disk.",
    schema: whole(1_024, 1024 * GIB),
    default: GIB,
    reload: true,
  },
  maxHeldBytes: {
    value: "BYTES",
    doc: "Bytes of memory that all requests hold; half of it for one caller with a token.",
    schema: whole(MIB, 1024 * GIB),
    otherwise: "an eighth of the memory, from 64 MiB to 1 GiB",
    reload: true,
  },
  sourceCacheBytes: {
    value: "BYTES",
    doc: "Bytes of functions' sources that are kept for callers who name them by their hashes.",
    schema: whole(0, GIB),
    default: 64 * MIB,
  },
  requestTimeoutMs: {
    value: "MS",
    doc:
      "Milliseconds in which a request has to arrive, its body included, " +
      "and an upload has to make progress. A child's input may take its time.",
    schema: whole(100, DAY_MS),
    default: 60_000,
    reload: true,
  },
  maxRate: {
    value: "N",
    doc:
      "Requests a second from each token, or from each address where there are no tokens; " +
      "twice as many at once.",
    schema: whole(1, 1_000_000),
    default: 1_000,
    reload: true,
  },
  maxChildrenPerCaller: {
    value: "N",
    doc:
      "Children and held slots of one caller at a time, in all pools of this member; " +
      "0 for no bound. A token's maxChildren replaces it.",
    schema: whole(0, 1_000_000),
    default: 0,
    reload: true,
  },
  maxStreams: {
    value: "N",
    doc: "Streams, and waits for results, open at a time for each token, or address.",
    schema: whole(1, 1_000_000),
    default: 1_000,
    reload: true,
  },
  maxConnections: {
    value: "N",
    doc: "Connections open at a time; when all are taken, a new one replaces an idle one.",
    schema: whole(16, 1_000_000),
    otherwise: "what the limit of open files leaves beside the children, up to 10000",
    reload: true,
  },
} as const satisfies Readonly<Record<string, MemberOption>>;
