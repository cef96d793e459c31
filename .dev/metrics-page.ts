/** The table of metrics in `server/docs/operating.md`, from the code and the library. */
import { processMetrics } from "../server/member/metrics/process-metrics.ts";
import { METRICS } from "../server/member/metrics/table.ts";

/** Every metric, as a Markdown table. */
export function metricsTable(): string {
  const own = Object.entries(METRICS).map(([name, { type, help, ...rest }]) =>
    rowOf({ name, type, help, labels: "labels" in rest ? rest.labels : [] }),
  );
  const ofProcess = processMetrics()
    .getMetricsAsArray()
    .map((metric) => {
      const {
        name,
        type,
        help,
        labelNames = [],
      } = metric as typeof metric & {
        readonly labelNames?: readonly string[];
      };
      return rowOf({ name, type: String(type), help, labels: labelNames });
    });
  return [
    "| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n",
    ...own,
    ...ofProcess,
  ].join("");
}

interface Row {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labels: readonly string[];
}

const rowOf = ({ name, type, help, labels }: Row) =>
  `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(" ")} | ${help} |\n`;
