/** The charts of the last 30 minutes. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import { series } from "../state/history.js";
import { count, duration } from "../text/format.js";
import { harmless } from "../text/harmless.js";
import { html } from "./html.js";

const HEIGHT = 150;
const MAX_CODES = 6;

const CHARTS = [
  {
    title: "Throughput",
    unit: "calls per second",
    lines: (data) => [
      ["placed", data.placed],
      ["ended", data.ended],
    ],
    show: (value) => (value < 10 ? value.toFixed(1) : count(value)),
  },
  {
    title: "Latency",
    unit: "logarithmic",
    lines: (data) => [
      ["run p50", data.runs50],
      ["run p95", data.runs95],
      ["wait p95", data.waits95],
    ],
    show: duration,
    isLog: true,
  },
  {
    title: "Queue",
    unit: "most callers that waited",
    lines: (data) => [["queued", data.queued]],
    show: count,
    isWhole: true,
  },
  {
    title: "Failures",
    unit: "per 10 seconds, by code",
    lines: (data) => data.codes.slice(0, MAX_CODES).map((code, at) => [code, data.failed[at]]),
    show: count,
    isWhole: true,
  },
];

export function Charts({ page }) {
  const { history, historyTrouble, ui } = page;
  const data = useMemo(() => history && series(history, ui.chartPool), [history, ui.chartPool]);
  if (!history)
    return historyTrouble
      ? html`<p class="empty">The charts are not shown: ${harmless(historyTrouble)}.</p>`
      : null;
  const names = Object.keys(history.pools).sort();
  return html`<section aria-labelledby="charts-title">
    <div class="section-head"><h2 id="charts-title">The last 30 minutes</h2>
      <span class="grow"></span>
      ${
        history.unreachable.length > 0 &&
        html`<span class="muted">
        ${`Without ${history.unreachable.slice(0, 5).join(", ")}`}</span>`
      }
      <select aria-label="Pool of the charts" value=${ui.chartPool}
        onChange=${({ target }) => page.set({ chartPool: target.value })}>
        <option value="">All pools</option>
        ${names.map((name) => html`<option value=${name}>${name}</option>`)}</select></div>
    <div class="charts">${CHARTS.map(
      (chart) => html`<${Chart} key=${chart.title} chart=${chart} data=${data}
        look=${`${page.isDark()}`} />`,
    )}</div></section>`;
}

function Chart({ chart, data, look }) {
  const box = useRef();
  useEffect(() => {
    const lines = chart.lines(data);
    const plot = draw(box.current, { chart, lines, times: data.times });
    const observer = new ResizeObserver(([{ contentRect }]) =>
      plot.setSize({ width: contentRect.width, height: HEIGHT }),
    );
    observer.observe(box.current);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [data, look]);
  const latest = chart
    .lines(data)
    .map(([name, values]) => `${name} ${chart.show(latestOf(values) ?? 0)}`);
  return html`<figure class="card chart">
    <figcaption><b>${chart.title}</b> <span class="muted">${chart.unit}</span></figcaption>
    <div ref=${box} role="img"
      aria-label=${`${chart.title}, latest: ${latest.join(", ") || "none"}`}
    ></div></figure>`;
}

const latestOf = (values) => values.findLast((value) => value !== null);
const same = (value) => value;
/** Whole numbers between the lines of the grid. */
const WHOLE = [1, 10, 100, 1_000, 10_000, 100_000].flatMap((step) => [step, 2 * step, 5 * step]);
/** A minute at least between two times, which have no seconds. */
const MINUTES = [60, 120, 300, 600, 900, 1_800];
const tickOf = (ms) => (ms < 1_000 ? `${ms} ms` : `${count(ms / 1_000)} s`);
const powerOfTen = (value) => (Number.isInteger(Math.log10(value)) ? value : null);

function draw(element, { chart, lines, times }) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = {
    stroke: colour("muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
  };
  const isEmpty = lines.every(([, values]) => values.every((value) => !value));
  const scale = chart.isLog && !isEmpty ? { distr: 3 } : { range: (_, __, max) => [0, max || 1] };
  const told = (value) => (value === null || value === undefined ? "–" : chart.show(value));
  const shown = lines.map(([label], at) => ({
    label,
    stroke: colour(`line-${at + 1}`),
    fill: lines.length === 1 || at === 0 ? `${colour(`line-${at + 1}`)}22` : undefined,
    width: 1.75,
    points: { show: false },
    // Where nobody points at the chart, the legend has the latest values.
    value: (...[plot, value, of, place]) => told(place === null ? latestOf(plot.data[of]) : value),
  }));
  const options = {
    width: element.clientWidth || 300,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    cursor: { points: { size: 6 }, y: false },
    scales: { y: scale },
    axes: [
      { ...axis, size: 26, values: "{HH}:{mm}", incrs: MINUTES, space: 44 },
      {
        ...axis,
        // Of a logarithmic scale, only the powers of ten.
        grid: { ...axis.grid, filter: (_, splits) => splits.map(chart.isLog ? powerOfTen : same) },
        size: 52,
        ...(chart.isWhole && { incrs: WHOLE }),
        values: (_, ticks) =>
          ticks.map((tick) => (tick === null ? "" : chart.isLog ? tickOf(tick) : chart.show(tick))),
      },
    ],
    series: [{ label: "Time", value: "{HH}:{mm}:{ss}" }, ...shown],
  };
  return new uPlot(options, [times, ...lines.map(([, values]) => values)], element);
}
