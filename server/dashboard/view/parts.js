/** Small parts that several views share. */
import { useState } from "preact/hooks";
import { harmless } from "../text/harmless.js";
import { html } from "./html.js";

/** A state in a word, with its colour. */
export const Pill = ({ state, children }) =>
  html`<span class=${`pill is-${state}`}><i aria-hidden="true"></i>${children ?? state}</span>`;

/**
 * A button that cannot be used says why, to eyes and screen readers.
 *
 * @param why the reason; undefined for one that can be used.
 */
export function Action({ why, onClick, children, class: look = "", ...rest }) {
  return html`<button
    type="button" class=${`button ${look}`} aria-disabled=${why !== undefined}
    title=${why && `Not possible: ${why}.`}
    onClick=${(event) => why === undefined && onClick?.(event)} ...${rest}
  >${children}${why && html`<span class="unseen"> (not possible: ${why})</span>`}</button>`;
}

/** A button that copies a text, and says that it did. */
export function Copy({ text, children, class: look = "" }) {
  const [told, tell] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text());
      tell("Copied");
    } catch {
      tell("Your browser does not allow it");
    }
    setTimeout(() => tell(""), 2_000);
  };
  return html`<button type="button" class=${`button ${look}`} onClick=${copy}>
    ${children}<span class="told" role="status">${told}</span></button>`;
}

/** Labels as `name=value`, each harmless and in a box of its own. */
export const Labels = ({ labels, max = 64 }) => {
  const all = Object.entries(labels);
  return html`<span class="labels">
    ${all.slice(0, max).map(
      ([name, value]) => html`<span class="label" title=${harmless(`${name}=${value}`)}>
        ${harmless(name, 40)}<b>${harmless(value, 60)}</b></span>`,
    )}
    ${all.length > max && html`<span class="label">+${all.length - max}</span>`}</span>`;
};

/** The progress that a child reported. */
export function Progress({ progress }) {
  if (!progress) return null;
  const { done, total, message } = progress;
  const share = total > 0 ? Math.min(1, done / total) : undefined;
  const shown = total === undefined ? String(done) : `${done} of ${total}`;
  const text = message ? `${shown} ${harmless(message, 80)}` : shown;
  return html`<span class="progress" title=${text} role="progressbar"
    aria-label=${`Progress: ${text}`} aria-valuemin="0" aria-valuemax="100"
    aria-valuenow=${share === undefined ? undefined : Math.round(share * 100)}>
    <i class=${share === undefined ? "is-unknown" : ""}
      style=${{ transform: `scaleX(${share ?? 1})` }}></i>
    <b>${share === undefined ? text : `${Math.round(share * 100)} %`}</b></span>`;
}
