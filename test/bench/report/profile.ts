/** The most expensive functions of members, from the profiles that Node writes at their ends. */
import { readdirSync, readFileSync } from "node:fs";
import { SourceMap } from "node:module";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Span, Table } from "../benchmark.ts";

const SHOWN = 10;
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: Frame }[];
  readonly samples: readonly number[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

const maps = new Map<string, SourceMap | undefined>();

function mapOf(file: string): SourceMap | undefined {
  if (!maps.has(file))
    try {
      maps.set(file, new SourceMap(JSON.parse(readFileSync(`${file}.map`, "utf8"))));
    } catch {
      maps.set(file, undefined);
    }
  return maps.get(file);
}

/** The function and its place in the source, which `dist/` names in its maps. */
function placeOf({ functionName, url, lineNumber, columnNumber }: Frame): string {
  const name = functionName || "(anonymous)";
  if (!url.startsWith("file:")) return url === "" ? name : `${name} ${url}:${lineNumber + 1}`;
  const file = fileURLToPath(url);
  const entry = mapOf(file)?.findEntry(lineNumber, columnNumber);
  if (!entry || !("originalSource" in entry))
    return `${name} ${relative(ROOT, file)}:${lineNumber + 1}`;
  const source = relative(ROOT, join(file, "..", entry.originalSource));
  return `${name} ${source}:${entry.originalLine + 1}`;
}

/** The functions of one profile by the time in which they themselves ran; the idle loop is none. */
function expensiveOf(profile: Profile, title: string, { from, to }: Span): Table {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const times = new Map<string, number>();
  let at = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id);
    at += profile.timeDeltas[index] ?? 0;
    if (!frame || at < from || at > to || frame.functionName === "(idle)") continue;
    const place = placeOf(frame);
    times.set(place, (times.get(place) ?? 0) + (profile.timeDeltas[index] ?? 0) / 1_000);
  }
  const total = [...times.values()].reduce((sum, each) => sum + each, 0);
  const rows = [...times]
    .sort(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([place, ms]) => [`\`${place}\``, ms, `${((ms / total) * 100).toFixed(1)} %`]);
  return { title, columns: ["function", "own ms", "share of the busy time"], rows };
}

const ALWAYS: Span = { from: 0, to: Number.POSITIVE_INFINITY };

/** A table for each profile in a folder, of the time in which the benchmark measured. */
export function expensiveIn(folder: string, span: Span = ALWAYS): Table[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cpuprofile"))
    .toSorted()
    .flatMap((file) => {
      const profile = JSON.parse(readFileSync(join(folder, file), "utf8")) as Profile;
      const title = `${basename(file, ".cpuprofile")}, the ten most expensive`;
      const table = expensiveOf(profile, title, span);
      return table.rows.length > 0 ? [table] : [];
    });
}
