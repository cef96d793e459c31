/** The slots of a member in a pool, one square each. A child keeps its square while it runs. */
import { useRef } from "preact/hooks";
import { harmless } from "../text/harmless.js";
import { html } from "./html.js";

/** A member with more slots has smaller squares. */
const MAX_LARGE = 48;

/** Gives each child that holds a slot a square; those that ended leave theirs. */
function placed(before, busy, max) {
  const places = before.map((id) => (busy.has(id) ? id : undefined));
  const known = new Set(places);
  let free = 0;
  for (const id of busy.keys()) {
    if (known.has(id)) continue;
    while (places[free] !== undefined) free++;
    places[free] = id;
  }
  return Array.from({ length: Math.max(max, places.length) }, (_, at) => places[at]);
}

/** The state of each square. Children of others, which the token does not show, are `taken`. */
function statesOf(places, { busy, active, state, max }) {
  let unseen = Math.max(0, active - busy.size);
  return places.map((id, at) => {
    if (state === "lost" || state === "left") return "lost";
    if (id !== undefined) return busy.get(id).status === "stopping" ? "stopping" : "running";
    if (unseen-- > 0) return "taken";
    return state === "draining" || at >= max ? "closed" : "free";
  });
}

const NOTHING = new Map();

/** @param of `{ busy, active, max, state, name }` of the member in the pool. */
export function SlotGrid({ busy = NOTHING, ...of }) {
  const drawn = useRef();
  const before = drawn.current;
  const all = placed(before?.places ?? [], busy, of.max);
  while (all.length > of.max && all.at(-1) === undefined) all.pop();
  const states = statesOf(all, { busy, ...of });
  const signature = `${states.join()} ${all.join()}`;
  // Squares that are as they were are not compared again.
  if (before?.signature === signature) return before.node;
  const taken = states.filter((state) => state !== "free" && state !== "closed").length;
  const node = html`<span class=${all.length > MAX_LARGE ? "slots is-dense" : "slots"} role="img"
    aria-label=${`${of.name}: ${taken} of ${of.max} slots taken`}>
    ${all.map(
      (id, at) => html`<i class=${`slot is-${states[at]}`} data-child=${id}
        title=${id ? harmless(busy.get(id).name ?? busy.get(id).kind, 60) : states[at]}></i>`,
    )}</span>`;
  drawn.current = { signature, node, places: all };
  return node;
}

/** The same in one bar, where there are too many squares. */
export function SlotBar({ active, max, state, name }) {
  const share = max > 0 ? Math.min(1, active / max) : 0;
  return html`<span class=${`meter is-${state}`} role="img"
    aria-label=${`${name}: ${active} of ${max} slots taken`}>
    <i style=${{ transform: `scaleX(${share})` }}></i></span>`;
}
