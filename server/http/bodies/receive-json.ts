/** Receives JSON bodies within the bounds of the member: in bytes, in values and in nesting. */
import { isJson } from "../../../openapi/bodies.ts";
import { PoolError } from "../../../openapi/errors.ts";
import { isFilePart } from "../../../sdk/typescript/http/multipart.ts";
import { turns } from "../../../sdk/typescript/time/turns.ts";
import { bodyOf, bytesOf, type NodeContext } from "../request.ts";
import { closeBehind, onOver } from "../response.ts";
import type { HeldBytes, Holding } from "./held-bytes.ts";
import { LargeJson, type ParsedJson, SMALL_BYTES } from "./large-json.ts";

export interface JsonVariables {
  /** The body, where it is large JSON. */
  readonly json: ParsedJson | undefined;
  /** The bytes that the request holds in memory, until its answer is over. */
  readonly held: Holding | undefined;
}

const utf8 = new TextDecoder();

const QUOTE = '"'.charCodeAt(0);
const OPEN_LIST = "[".charCodeAt(0);

/** The values of a child spec that may be large: they go to the child as they are. */
export function isLargeInSpec(path: readonly string[], first: number): boolean {
  const [key, second, third] = path;
  const isData = (name: string | undefined) => name === "text" || name === "base64";
  if ((key === "function" || key === "task") && second === "args")
    return path.length === 2 && first === OPEN_LIST;
  if (first !== QUOTE) return false;
  if (key === "function") return path.length === 2 && second === "source";
  if (key === "stdin") return path.length === 1 || (path.length === 2 && isData(second));
  if (key === "archive") return path.length === 2 && second === "base64";
  if (key !== "files" || !isFilePart(second ?? "")) return false;
  return path.length === 2 || (path.length === 3 && isData(third));
}

export interface JsonLimits {
  readonly heldBytes: HeldBytes;
  /** The most bytes of a body. */
  maxBodyBytes(): number;
}

/**
 * Reads the JSON body of a request. A small one is left to the handler. A body that is refused need
 * not arrive: the answer comes at once, and is the last one of its connection.
 *
 * @throws {PoolError} `payload_too_large`; `invalid_request`; see {@link Holding.grow}.
 */
export async function receiveJson(c: NodeContext, limits: JsonLimits): Promise<void> {
  const { incoming, outgoing } = c.env;
  const announced = c.req.header("content-length");
  // HTTP/2 marks a body of unknown length by nothing in its head.
  const mayHaveBody =
    announced !== undefined ||
    c.req.header("transfer-encoding") !== undefined ||
    (incoming?.httpVersionMajor === 2 && c.req.method === "POST");
  if (incoming && mayHaveBody)
    try {
      const large = receive(c, announced === undefined ? undefined : Number(announced), limits);
      if (large) await large;
    } catch (error) {
      if (!incoming.readableEnded) closeBehind(incoming, outgoing);
      throw error;
    }
}

/** Leaves a small body to the handler, or reads a large one. */
function receive(
  c: NodeContext,
  announced: number | undefined,
  { heldBytes, maxBodyBytes }: JsonLimits,
): Promise<void> | undefined {
  const maxBytes = maxBodyBytes();
  const tooLarge = () =>
    PoolError.of("payload_too_large", `expected a body of at most ${maxBytes} bytes`);
  if (announced !== undefined && announced > maxBytes) throw tooLarge();
  const held = heldBytes.open(c.get("caller").name, announced);
  onOver(c.env.outgoing, () => held.release());
  c.set("held", held);
  if (!isJson(c.req.header("content-type"))) return undefined;
  if (announced === undefined || announced > SMALL_BYTES)
    return receiveLarge(c, announced, { held, tooLarge, maxBytes });
  let text: Promise<string> | undefined;
  c.req.text = () => {
    text ??= bytesOf(c.env.incoming).then((bytes) => utf8.decode(bytes));
    return text;
  };
  c.req.json = async () => JSON.parse(await c.req.text());
  return undefined;
}

interface Bounds {
  readonly held: Holding;
  readonly maxBytes: number;
  tooLarge(): PoolError;
}

async function receiveLarge(
  c: NodeContext,
  announced: number | undefined,
  { held, tooLarge, maxBytes }: Bounds,
): Promise<void> {
  const json = new LargeJson(isLargeInSpec, announced);
  const body = bodyOf(c);
  // One turn of the loop may bring 2 MiB of a body.
  const turn = turns();
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      if (announced === undefined) held.grow(chunk.length);
      json.push(chunk);
      if (json.bytes > maxBytes) throw tooLarge();
      await turn();
    }
    giveJson(c, json.parse());
  } finally {
    body.destroy();
  }
}

/** Hands JSON that has been parsed to the handler, whatever the body was. */
export function giveJson(c: NodeContext, json: ParsedJson): void {
  const { value } = json;
  c.set("json", json);
  c.req.json = async <T>() => value as T;
}
