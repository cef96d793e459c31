/** A YAML text whose every key knows its line. */
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from "yaml";
import { messageOf } from "../../openapi/errors.ts";

/** Aliases may repeat 100 nodes in all; a file that repeats more is an attack on the reader. */
const MAX_ALIASES = 100;

export type Path = readonly PropertyKey[];

/** A mapping, a list, a scalar or an alias; null for a key without a value. */
export type YamlNode = Node | null;

export interface YamlProblem {
  readonly line: number;
  readonly message: string;
}

export class YamlDocument {
  readonly #lines = new LineCounter();
  readonly #document: Document | undefined;
  /** The reasons why the text is no YAML. A document that has one reads as empty. */
  readonly problems: YamlProblem[] = [];

  /** Never throws, whatever the text holds. */
  constructor(content: string) {
    const { problems } = this;
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
  }

  /** The keys and values of the text; none of an empty text, undefined if it is no mapping. */
  get entries(): readonly (readonly [key: string, value: YamlNode])[] | undefined {
    const root = this.#document?.contents ?? null;
    if (isMap(root)) return root.items.map((pair) => [String(pair.key), pair.value as YamlNode]);
    return root === null || (isScalar(root) && root.value === null) ? [] : undefined;
  }

  /** The plain value of a node; null for none. */
  valueOf(node: YamlNode): unknown {
    return node?.toJS(this.#document as Document, { maxAliasCount: MAX_ALIASES }) ?? null;
  }

  /** A scalar as its author wrote it: 007 may be a name. */
  textOf(node: YamlNode): string {
    const scalar = isAlias(node) ? node.resolve(this.#document as Document) : node;
    const isNumber = isScalar(scalar) && typeof scalar.value === "number";
    return (isNumber && scalar.source) || String(this.valueOf(node));
  }

  /** The line of a key, or of the nearest key around it. */
  lineOf(path: Path): number {
    let node: unknown = this.#document?.contents;
    let offset = 0;
    for (const key of path) {
      if (isAlias(node)) node = node.resolve(this.#document as Document);
      const item: unknown = isMap(node)
        ? node.items.find((pair) => String(pair.key) === String(key))
        : isSeq(node) && node.items[Number(key)];
      if (!item) break;
      const [named, value] = isPair(item) ? [item.key, item.value] : [item, item];
      offset = (named as Node).range?.[0] ?? offset;
      node = value;
    }
    return this.#lineAt(offset);
  }

  #lineAt(offset: number): number {
    return this.#lines.linePos(offset).line;
  }
}
