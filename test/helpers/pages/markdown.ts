/** Reads a page of the documentation: its blocks, headings, links, and the paths that it names. */
import { readFileSync } from "node:fs";

export interface Block {
  /** Language of the fence, such as `console`; empty for a fence without one. */
  readonly language: string;
  /** The words after the language, which say what the block needs. */
  readonly tags: readonly string[];
  readonly text: string;
  /** Line of the opening fence in the page, from 1. */
  readonly line: number;
}

export interface Link {
  readonly target: string;
  readonly line: number;
}

export interface Page {
  /** Path from the root of the repository. */
  readonly file: string;
  readonly lines: readonly string[];
  readonly blocks: readonly Block[];
  readonly links: readonly Link[];
  /** The names that `#` in a link can lead to. */
  readonly anchors: ReadonlySet<string>;
  /** Paths of this repository that stand in backticks. */
  readonly paths: readonly Link[];
}

const FENCE = /^(`{3,})(\S*)\s*(.*)$/;
const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;
const HEADING = /^#{1,6}\s+(.*)$/;
/** A file or folder in backticks, such as `server/routes/`; not a pattern with `*` or `{`. */
const PATH = /`((?:server|sdk|openapi|test|examples|\.dev)\/[\w./-]*)`/g;

/** GitHub's name of a heading: lower case, no punctuation, hyphens for spaces. */
export function anchorOf(heading: string): string {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1")
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}

/** Parses the text of a page. @throws {Error} for a fence that is never closed. */
export function parsePage(file: string, text: string): Page {
  const lines = text.replace(/\n$/, "").split("\n");
  const blocks: Block[] = [];
  const links: Link[] = [];
  const paths: Link[] = [];
  const anchors = new Set<string>();
  for (let index = 0; index < lines.length; index++) {
    const content = lines[index] as string;
    const line = index + 1;
    const [, fence, language = "", info = ""] = FENCE.exec(content) ?? [];
    if (fence !== undefined) {
      const end = lines.indexOf(fence, index + 1);
      if (end < 0) throw new Error(`${file}:${line}: expected the end of this block; got none`);
      const body = lines.slice(index + 1, end);
      const tags = info.split(/\s+/).filter((tag) => tag !== "");
      blocks.push({ language, tags, line, text: body.map((row) => `${row}\n`).join("") });
      index = end;
      continue;
    }
    const [, heading] = HEADING.exec(content) ?? [];
    if (heading !== undefined) anchors.add(anchorOf(heading));
    for (const [, path = ""] of content.matchAll(PATH)) paths.push({ target: path, line });
    const prose = content.replaceAll(/`[^`]*`/g, "``");
    for (const [, target = ""] of prose.matchAll(LINK)) links.push({ target, line });
  }
  return { file, lines, blocks, links, anchors, paths };
}

export function readPage(root: string, file: string): Page {
  return parsePage(file, readFileSync(`${root}/${file}`, "utf8"));
}
