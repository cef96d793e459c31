/** The chart of a report: bars in panels, as SVG that follows the reader's light or dark theme. */
import { shown } from "./markdown.ts";
import { figuresOf, type Report } from "./report.ts";

interface Bar {
  readonly label: string;
  readonly figure: string;
  /** A reference is shown in another colour than the product. */
  readonly isOurs: boolean;
}

interface Panel {
  readonly title: string;
  readonly unit: string;
  readonly bars: readonly Bar[];
}

const ours = (label: string, figure: string): Bar => ({ label, figure, isOurs: true });
const other = (label: string, figure: string): Bar => ({ label, figure, isOurs: false });

const PANELS: readonly Panel[] = [
  {
    title: "Calls of a reused function, 16 callers (more is better)",
    unit: "calls/s",
    bars: [
      other("L, 16 processes", "calls/L, 16 processes/16/perSecond"),
      ours("direct, SSE", "calls/direct, SSE/16/perSecond"),
      ours("direct, JSON", "calls/direct, JSON/16/perSecond"),
      ours("gateway to itself, SSE", "calls/gateway to itself, SSE/16/perSecond"),
      ours("gateway to another, SSE", "calls/gateway to another, SSE/16/perSecond"),
      other("BullMQ, sandboxed", "peers/BullMQ, sandboxed/16/perSecond"),
      other("tinypool, child processes", "peers/tinypool, child processes/16/perSecond"),
      other("piscina, threads", "peers/piscina, threads/16/perSecond"),
      other("gearmand", "peers/gearmand/16/perSecond"),
      other("Elixir, 1 member", "elixir/1/16/perSecond"),
      other("Elixir, 10 members", "elixir/10/16/perSecond"),
      other("Elixir, 100 members", "elixir/100/16/perSecond"),
    ],
  },
  {
    title: "Median time of one call, 1 caller (less is better)",
    unit: "ms",
    bars: [
      other("plain spawn of true", "starts/plain spawn of true/1/p50"),
      ours("command, prepared", "starts/command, prepared/1/p50"),
      other("bare bubblewrap, true", "starts/bare bubblewrap, true/1/p50"),
      ours("command, cold", "starts/command, cold/1/p50"),
      ours("one-use function, warm", "starts/one-use function, warm/1/p50"),
      other("bare sandboxed node", "starts/bare sandboxed node/1/p50"),
      ours("function, cold", "starts/function, cold/1/p50"),
    ],
  },
  {
    title: "Processor time of the member for each call, 16 callers (less is better)",
    unit: "ms",
    bars: [
      other("L, 16 processes", "calls/L, 16 processes/16/server"),
      ours("direct, SSE", "calls/direct, SSE/16/server"),
      ours("direct, JSON", "calls/direct, JSON/16/server"),
      ours("gateway to itself, SSE", "calls/gateway to itself, SSE/16/server"),
    ],
  },
];

const WIDTH = 760;
const LABEL = 200;
const VALUE = 110;
const LINE = 22;
const BAR = 14;
const GAP = 30;

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const text = (x: number, y: number, content: string, attributes = "") =>
  `<text x="${x}" y="${y}"${attributes}>${escaped(content)}</text>`;

/** The chart. A bar whose figure was not measured is left out, and so is an empty panel. */
export function chartOf(report: Report): string {
  const figures = figuresOf(report);
  const parts: string[] = [];
  let y = 8;
  for (const { title, unit, bars } of PANELS) {
    const known = bars.filter(({ figure }) => Number.isFinite(figures[figure]));
    if (known.length === 0) continue;
    const most = Math.max(...known.map(({ figure }) => figures[figure] as number));
    y += LINE;
    parts.push(text(8, y, title, ' class="title"'));
    for (const { label, figure, isOurs } of known) {
      y += LINE;
      const value = figures[figure] as number;
      const width = Math.max(1, ((WIDTH - LABEL - VALUE) * value) / most);
      parts.push(
        text(LABEL - 8, y, label, ' text-anchor="end"'),
        `<rect x="${LABEL}" y="${y - BAR + 2}" width="${width.toFixed(1)}" height="${BAR}"` +
          ` class="${isOurs ? "ours" : "other"}"/>`,
        text(LABEL + Math.round(width) + 6, y, `${shown(value)} ${unit}`),
      );
    }
    y += GAP;
  }
  const { date, processor, processors } = report.machine;
  parts.push(text(8, y, `${date}, ${processors} × ${processor}`, ' class="small"'));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y + 12}"` +
      ` viewBox="0 0 ${WIDTH} ${y + 12}" role="img" aria-label="Benchmarks as bars">`,
    "<style>",
    "text { font: 13px sans-serif; fill: #222 } .title { font-weight: bold }",
    ".small { font-size: 11px; fill: #666 } .ours { fill: #2563eb } .other { fill: #a3a3a3 }",
    "@media (prefers-color-scheme: dark) {",
    "  text { fill: #ddd } .small { fill: #999 } .ours { fill: #60a5fa } .other { fill: #737373 }",
    "}",
    "</style>",
    ...parts,
    "</svg>\n",
  ].join("\n");
}
