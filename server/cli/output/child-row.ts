/** The cells of a child in the table of `dpool ps`. */
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";

/** Characters that a terminal obeys or hides: controls, and marks of the direction of text. */
const UNSHOWN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Text of others as one harmless line. */
const harmless = (text: string) => text.replaceAll(UNSHOWN, "\ufffd");

/** The command of a child, for those who may see it; its name otherwise. */
export function workText({ command, name, kind }: ChildInfo): string {
  return harmless(command?.join(" ") ?? name ?? kind);
}

/** The time from the slot to the end, or to now: `4s`, `2m04s`, `3h20m`, `2d03h`. */
export function ageText({ startedAt, endedAt }: ChildInfo, nowMs = Date.now()): string {
  const ms = (endedAt === null ? nowMs : Date.parse(endedAt)) - Date.parse(startedAt);
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const two = (amount: number) => String(amount).padStart(2, "0");
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${two(seconds % 60)}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${two(minutes % 60)}m`;
  return `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}

/** The last progress: `3/10 words`. */
export function progressText({ progress }: ChildInfo): string {
  if (!progress) return "";
  const { done, total, message } = progress;
  const count = total === undefined ? String(done) : `${done}/${total}`;
  return harmless(message === undefined ? count : `${count} ${message}`);
}
