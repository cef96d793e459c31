/** Reads the metrics of a member, and the table of the page that lists them. */
import { readFileSync } from "node:fs";
import { within } from "./member.ts";

/** The names in the table of `server/docs/operating.md`. */
export function listedMetrics(): string[] {
  const page = readFileSync(new URL("../../server/docs/operating.md", import.meta.url), "utf8");
  const table = page.split("<!-- generated: metrics -->")[1]?.split("<!-- /generated -->")[0] ?? "";
  return [...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = ""]) => name);
}

export interface Metrics {
  readonly text: string;
  readonly names: readonly string[];
  /** Series without buckets, such as `dpool_slots{pool="pipeline"}`, with their values. */
  readonly series: ReadonlyMap<string, number>;
}

export async function metricsOf({ url }: { readonly url: string }): Promise<Metrics> {
  const answer = await within("the metrics", fetch(`${url}/metrics`));
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`expected metrics; got HTTP ${answer.status} ${text}`);
  const lines = text.split("\n").filter((line) => /^\w/.test(line) && !line.includes("_bucket"));
  return {
    text,
    names: [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name = ""]) => name),
    series: new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))] as const;
      }),
    ),
  };
}

/** The names of the metrics of which a series differs or is new. */
export function changedNames(before: Metrics, after: Metrics): Set<string> {
  const changed = [...after.series].filter(([key, value]) => before.series.get(key) !== value);
  return new Set(changed.map(([key]) => key.replace(/\{.*/, "").replace(/_(sum|count)$/, "")));
}
