/** A YAML text whose every key knows its line. */
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from "yaml";
import { messageOf } from "../../openapi/errors.ts";

/** Aliases may repeat 100 nodes in all; a file that repeats more is an attack on the reader. */
const MAX_ALIASES = 100;

export type Path = readonly PropertyKey[];

/** A mapping, a list, a scalar or an alias; null for a key without a value. */
export type YamlNode = Node | null;

interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

export class YamlDocument {
  readonly #lines = new LineCounter();
  readonly #document: Document | undefined;
  /** The reasons why the text is no YAML. A document that has one reads as empty. */
  readonly problems: readonly YamlProblem[];

  /** Never throws, whatever the text holds. */
  constructor(content: string) {
    const problems: YamlProblem[] = [];
    const add = (offset: number, message: string) =>
      problems.push({ line: this.#lineAt(offset), message: `expected YAML: ${message}` });
    try {
      const document = parseDocument(content, {
        lineCounter: this.#lines,
        prettyErrors: false,
        logLevel: "error",
      });
      for (const { message, pos } of [...document.errors, ...document.warnings])
        add(pos[0], message);
      // Throws at aliases that multiply, and at those that contain themselves.
      JSON.stringify(document.toJS({ maxAliasCount: MAX_ALIASES }));
      if (problems.length === 0) this.#document = document;
    } catch (error) {
      if (problems.length === 0) add(0, messageOf(error).split("\n")[0] ?? "");
    }
    this.problems = problems;
  }

  /** The keys and values of the text; none of an empty text, undefined if it is no mapping. */
  get entries(): readonly (readonly [key: string, value: YamlNode])[] | undefined {
    const root = this.#document?.contents ?? null;
    if (isMap(root)) return root.items.map((pair) => [keyOf(pair), pair.value as YamlNode]);
    return root === null || (isScalar(root) && root.value === null) ? [] : undefined;
  }

  /** The plain value of a node; null for none. */
  valueOf(node: YamlNode): unknown {
    return node?.toJS(this.#document as Document, { maxAliasCount: MAX_ALIASES }) ?? null;
  }

  /** A scalar as its author wrote it: 007 may be a name. */
  textOf(node: YamlNode): string {
    const scalar = isAlias(node) ? node.resolve(this.#document as Document) : node;
    const value = this.valueOf(node);
    return typeof value === "number" && isScalar(scalar)
      ? (scalar.source ?? String(value))
      : String(value);
  }

  /** The line of a key, or of the nearest key around it. */
  lineOf(path: Path): number {
    let node: unknown = this.#document?.contents;
    let offset = 0;
    for (const key of path) {
      if (isAlias(node)) node = node.resolve(this.#document as Document);
      const found = childOf(node, key);
      if (found === undefined) break;
      offset = found.key?.range?.[0] ?? offset;
      node = found.value;
    }
    return this.#lineAt(offset);
  }

  #lineAt(offset: number): number {
    return this.#lines.linePos(offset).line;
  }
}

/** The node of a mapping's key, or of a list's index, with the node that stands for its line. */
function childOf(node: unknown, key: PropertyKey): { key: YamlNode; value: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => keyOf(item) === String(key));
    return pair && { key: pair.key as YamlNode, value: pair.value };
  }
  const item = isSeq(node) ? node.items[Number(key)] : undefined;
  return item === undefined ? undefined : { key: item as YamlNode, value: item };
}

function keyOf({ key }: Pair): string {
  return isScalar(key) ? String(key.value) : String(key);
}
