/**
 * Puts the large values of a child spec in their places, once the spec is known to be valid: data
 * becomes a part on disk, as if it had come beside the spec, and arguments stay JSON.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { PoolError } from "../../../openapi/errors.ts";
import type { ChildSpec } from "../../../openapi/schemas/spec.ts";
import { ARCHIVE_PART, STDIN_PART } from "../../../sdk/typescript/http/multipart.ts";
import { rawList } from "../../../sdk/typescript/http/raw-json.ts";
import { decodeBase64, decodeText } from "../../http/bodies/decode-string.ts";
import type { LargeValue, ParsedJson } from "../../http/bodies/large-json.ts";
import type { Uploads } from "../../workspace/uploads.ts";

/** 4 MiB: the server parses a source, and writes it as JSON again, each in one turn of its loop. */
const MAX_SOURCE_BYTES = 4 * 1024 * 1024;

type File = NonNullable<ChildSpec["files"]>[string];
type Data = ChildSpec["archive"] | ChildSpec["stdin"] | File;

export type SpecWithLargeValues = Pick<
  ChildSpec,
  "archive" | "stdin" | "files" | "function" | "task"
>;

/** The large text of a file or an input. */
interface LargeData extends LargeValue {
  readonly isBase64: boolean;
  /** The permissions of a file. */
  readonly mode: string | undefined;
}

/**
 * @param spec the spec with the texts that stand for its large values. It is changed.
 * @param uploads receives the large files and the large input.
 * @throws {PoolError} `invalid_request` for data that is not base64; the errors of `uploads`.
 */
export async function placeLargeValues(
  spec: SpecWithLargeValues,
  { large }: ParsedJson,
  uploads: Uploads,
): Promise<void> {
  for (const work of [spec.function, spec.task]) {
    const args = large.get(work?.args[0]);
    if (work && args) work.args = rawList(args.bytes);
  }
  const source = large.get(spec.function?.source ?? "");
  if (spec.function && source) {
    const { length } = source.bytes;
    if (length > MAX_SOURCE_BYTES)
      throw invalid(
        "/function/source",
        `expected a source of at most ${MAX_SOURCE_BYTES} bytes of JSON; got ${length}`,
      );
    // The rest of the spec was parsed in this turn.
    await nextTurn();
    spec.function.source = JSON.parse(source.bytes.toString()) as string;
    // It is written again for the child in the next one.
    await nextTurn();
  }
  const stdin = largeData(spec.stdin, large);
  if (stdin) {
    await keep(STDIN_PART, stdin, uploads);
    delete spec.stdin;
  }
  const archive = spec.archive && largeData(spec.archive, large);
  if (archive) {
    await keep(ARCHIVE_PART, archive, uploads);
    delete spec.archive;
  }
  for (const [path, data] of Object.entries(spec.files ?? {})) {
    const file = largeData(data, large);
    if (!file) continue;
    await keep(path, file, uploads);
    delete spec.files?.[path];
  }
}

function largeData(data: Data, large: ParsedJson["large"]): LargeData | undefined {
  const isBase64 = typeof data === "object" && "base64" in data;
  const text =
    typeof data !== "object"
      ? data
      : "text" in data
        ? data.text
        : isBase64
          ? data.base64
          : undefined;
  const value = large.get(text ?? "");
  const mode = typeof data === "object" && "mode" in data ? data.mode : undefined;
  return value && { ...value, isBase64, mode };
}

async function keep(name: string, data: LargeData, uploads: Uploads) {
  const { path, bytes, isBase64, mode } = data;
  try {
    await uploads.keep(name, isBase64 ? decodeBase64(bytes) : decodeText(bytes), mode);
  } catch (error) {
    if (!(error instanceof PoolError) || error.code !== "invalid_request") throw error;
    const pointer = path.map((key) => `/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`);
    throw invalid(pointer.join(""), error.message);
  }
}

function invalid(path: string, message: string): PoolError {
  return PoolError.of("invalid_request", `${path}: ${message}`, { fields: [{ path, message }] });
}
