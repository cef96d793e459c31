/** The aims: each figure of a report beside the value that it should have. */
import type { Table } from "./benchmark.ts";
import { shown } from "./report/markdown.ts";
import { figuresOf, type Report } from "./report/report.ts";

type Figures = Readonly<Record<string, number>>;

interface Aim {
  readonly figure: string;
  /** Figures by name, or a computation from them. NaN where something was not measured. */
  readonly value: (of: (name: string) => number) => number;
  readonly aim: number;
  readonly better: "less" | "more";
  /** Default: none. */
  readonly unit?: string;
  /** What it was before the change that set the aims. */
  readonly before: string;
}

const UNKNOWN = "not measured";
const L = "calls/L, 16 processes";
const SSE = "calls/direct, SSE";
const OTHER = "calls/gateway to another, SSE";
const OURS = "peers/distributed-pool, SSE";

const AIMS: readonly Aim[] = [
  {
    figure: "direct reused call, 16 callers, calls/s beside L with 16 processes",
    value: (of) => of(`${SSE}/16/perSecond`) / of(`${L}/16/perSecond`),
    aim: 0.6,
    better: "more",
    unit: "×",
    before: "0.11",
  },
  {
    figure: "direct reused call, 1 caller, p50 beside L",
    value: (of) => of(`${SSE}/1/p50`) / of(`${L}/1/p50`),
    aim: 1.5,
    better: "less",
    unit: "×",
    before: "6",
  },
  {
    figure: "member's processor time, direct",
    value: (of) => of(`${SSE}/16/server`),
    aim: 0.12,
    better: "less",
    unit: "ms",
    before: "0.67",
  },
  {
    figure: "both members' processor time through a gateway on another member",
    value: (of) => of(`${OTHER}/16/server`) + of(`${OTHER}/16/gateway`),
    aim: 0.3,
    better: "less",
    unit: "ms",
    before: "1.8–2.2",
  },
  {
    figure: "processor time of a call through the gateway to itself, beside direct",
    value: (of) => of("calls/gateway to itself, SSE/16/server") / of(`${SSE}/16/server`),
    aim: 1,
    better: "less",
    unit: "×",
    before: "1.9",
  },
  {
    figure: "p99 beside p50, direct, 16 callers",
    value: (of) => of(`${SSE}/16/p99`) / of(`${SSE}/16/p50`),
    aim: 2.5,
    better: "less",
    unit: "×",
    before: "3.3",
  },
  {
    figure: "one-use warm function, 1 caller, p50 beside L",
    value: (of) => of("starts/one-use function, warm/1/p50") / of("starts/L/1/p50"),
    aim: 2,
    better: "less",
    unit: "×",
    before: "8",
  },
  {
    figure: "refill of one-use processes beside bare sandboxed starts, one at a time",
    value: (of) => of("refill/member") / of("refill/bare"),
    aim: 0.9,
    better: "more",
    unit: "×",
    before: "0.45–0.65",
  },
  {
    figure: "prepared command, 1 caller, p50 beside a plain spawn of `true`",
    value: (of) => of("starts/command, prepared/1/p50") / of("starts/plain spawn of true/1/p50"),
    aim: 1,
    better: "less",
    unit: "×",
    before: "8.8",
  },
  {
    figure: "cold command beside bare bubblewrap",
    value: (of) => of("starts/command, cold/1/p50") / of("starts/bare bubblewrap, true/1/p50"),
    aim: 1.5,
    better: "less",
    unit: "×",
    before: "2.5–4.5",
  },
  ...[16, 64].map(
    (callers): Aim => ({
      figure: `calls/s beside BullMQ sandboxed, ${callers} callers`,
      value: (of) =>
        of(`${OURS}/${callers}/perSecond`) / of(`peers/BullMQ, sandboxed/${callers}/perSecond`),
      aim: callers === 16 ? 3 : 2,
      better: "more",
      unit: "×",
      before: callers === 16 ? "0.9" : "0.28",
    }),
  ),
  ...[
    [1, 0.5, "0.07"],
    [10, 4, UNKNOWN],
    [1_000, 100, UNKNOWN],
  ].map(
    ([members, aim, before]): Aim => ({
      figure: `placed calls/s beside the original in Elixir, 16 callers, in pools of ${members}`,
      value: (of) =>
        of(members === 1 ? `${OURS}/16/perSecond` : `placement/${members}/16/perSecond`) /
        of(`elixir/${members}/16/perSecond`),
      aim: aim as number,
      better: "more",
      unit: "×",
      before: before as string,
    }),
  ),
  {
    figure: "placing at 1,000 beside 2 members, p50",
    value: (of) => of("placement/1000/1/p50") / of("placement/2/1/p50"),
    aim: 1.2,
    better: "less",
    unit: "×",
    before: "0.98 (200 beside 5)",
  },
  {
    figure: "requests for each placed call at 1,000 members",
    value: (of) => of("placement/1000/1/requests"),
    aim: 1.1,
    better: "less",
    before: "6.0",
  },
  {
    figure: "requests to Consul for each placed call",
    value: (of) => of("placement/1000/1/consul"),
    aim: 0.01,
    better: "less",
    before: "0",
  },
  {
    figure: "refused while a slot is free, load 0.9, 10,000 calls",
    value: (of) => of("refused/refused"),
    aim: 0,
    better: "less",
    before: "0 of 3,000",
  },
  {
    figure: "member at rest",
    value: (of) => of("memory/rest"),
    aim: 90,
    better: "less",
    unit: "MB",
    before: "103",
  },
  {
    figure: "idle warm process, on the server's side",
    value: (of) => of("memory/warm"),
    aim: 64,
    better: "less",
    unit: "KiB",
    before: UNKNOWN,
  },
  {
    figure: "command line, processor time to its first request",
    value: (of) => of("cli/cpu"),
    aim: 60,
    better: "less",
    unit: "ms",
    before: "280",
  },
  {
    figure: "2,000 callers at once: not served",
    value: (of) => of("many/failed"),
    aim: 0,
    better: "less",
    before: "20",
  },
  {
    figure: "2,000 callers at once: p99 beside the mean",
    value: (of) => of("many/p99") / of("many/mean"),
    aim: 3,
    better: "less",
    unit: "×",
    before: UNKNOWN,
  },
  {
    figure: "2,000 callers at once: the slowest `/livez`",
    value: (of) => of("many/livez"),
    aim: 50,
    better: "less",
    unit: "ms",
    before: "1,950",
  },
];

/** The aims whose figures a report has. */
export function aimsOf(report: Report): Table {
  const figures: Figures = figuresOf(report);
  const rows = AIMS.flatMap(({ figure, value, aim, better, unit, before }) => {
    const measured = value((name) => figures[name] ?? Number.NaN);
    if (!Number.isFinite(measured)) return [];
    const isReached = better === "less" ? measured <= aim : measured >= aim;
    const suffix = unit === undefined ? "" : ` ${unit}`;
    const sign = better === "less" ? "≤" : "≥";
    const reached = isReached ? "yes" : "no";
    const wanted = `${sign} ${shown(aim)}${suffix}`;
    const was = before === UNKNOWN ? before : `${before}${suffix}`;
    return [[figure, was, wanted, `${shown(measured)}${suffix}`, reached]];
  });
  const columns = ["figure", "before", "aim", "measured", "reached"];
  return { title: "The aims", columns, rows };
}
