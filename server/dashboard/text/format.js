/** Numbers, times and sizes for people. */

/** A duration: `0.4 ms`, `12 ms`, `3.2 s`, `4m 05s`, `2h 10m`, `3d 4h`. */
export function duration(ms) {
  if (ms === undefined || ms === null || Number.isNaN(ms)) return "–";
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  return age(ms);
}

const two = (number) => String(number).padStart(2, "0");

/** A duration in whole seconds, for clocks that tick. */
export function age(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m ${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h ${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(number) {
  if (number === undefined || number === null) return "–";
  let unit = 0;
  let value = number;
  while (value >= 1_024 && unit < UNITS.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const grouped = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (number) => grouped.format(Math.round(number));
/** A number for a narrow place: `12.4K` from 10,000 on. */
export const compact = (number) => (number < 10_000 ? count(number) : short.format(number));

/** A child's id as tables show it: its member, and the beginning of the rest. */
export function shortId(id) {
  const at = id.lastIndexOf(".");
  return `${id.slice(0, at)}.${id.slice(at + 1, at + 9)}`;
}

export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
