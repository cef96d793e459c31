/** A member of a pool: its state, its slots and facts, and the button that drains it. */
import { useState } from "preact/hooks";
import { drain } from "../net/api.js";
import { forbidden, now } from "../net/session.js";
import { age, count } from "../text/format.js";
import { harmless } from "../text/harmless.js";
import { html } from "./html.js";
import { Action, Pill } from "./parts.js";
import { SlotBar, SlotGrid } from "./slots.js";

const until = (time) => age(Date.parse(time) - now());
const SANDBOX = { full: "sandbox full", "no-cgroup": "sandbox without cgroups", off: "no sandbox" };

export function MemberRow({ page, member, load, max, busy, isShort }) {
  const { member: name, state, detail, startedAt, drainEndsAt, version, sandbox, url } = member;
  const slots = { busy, active: load.active, max, state, name };
  const facts = [
    SANDBOX[sandbox] ?? `sandbox ${sandbox}`,
    `v${version}`,
    startedAt && `up ${age(now() - Date.parse(startedAt))}`,
    load.queued > 0 && `${load.queued} queued`,
    load.warm !== undefined && `${load.warm} warm`,
  ].filter(Boolean);
  const word = state === "draining" && drainEndsAt ? `draining, ${until(drainEndsAt)} left` : state;
  return html`<div class=${`member is-${state}`} title=${harmless(detail ?? "")}>
    <span class="member-name"><a href=${url} title=${`The dashboard at ${url}`}>${name}</a></span>
    <${Pill} state=${state}>${word}<//>
    <${isShort ? SlotBar : SlotGrid} ...${slots} />
    <span class="member-load">${load.active}/${max}</span>
    <span class="member-facts">${facts.join(" · ")}${
      detail &&
      html`
      <em>${harmless(detail, 160)}</em>`
    }</span>
    <${Drain} page=${page} name=${name} state=${state} />
  </div>`;
}

/** Asks before it drains: the member leaves its pools and ends. */
function Drain({ page, name, state }) {
  const [asks, ask] = useState(false);
  const [told, tell] = useState("");
  const why =
    forbidden(["admin"]) ?? (state === "up" || state === "sick" ? undefined : `it is ${state}`);
  const go = async () => {
    ask(false);
    tell("…");
    await drain(name).then(
      () => tell(""),
      (error) => tell(harmless(error.message)),
    );
    page.draw();
  };
  if (!asks)
    return html`<span class="drain"><${Action} why=${why} class="is-small"
      aria-label=${`Drain ${name}`} onClick=${() => ask(true)}>Drain<//>
      ${told && html`<span class="trouble" role="alert">${told}</span>`}</span>`;
  const loads = [...page.store.loads.values()].filter(({ member }) => member === name);
  const running = loads.reduce((sum, { active = 0 }) => sum + active, 0);
  const children = running === 1 ? "1 child" : `${count(running)} children`;
  const then = running > 0 ? `Its ${children} may finish, and it ends.` : "It ends.";
  return html`<span class="drain is-asking" role="group" aria-label=${`Drain ${name}?`}
    onKeyDown=${({ key }) => key === "Escape" && ask(false)}>
    <span>${name} admits no more children. ${then}</span>
    <button type="button" class="button is-small is-danger" ref=${focusOnce}
      onClick=${go}>Drain ${name}</button>
    <button type="button" class="button is-small" onClick=${() => ask(false)}>Cancel</button>
  </span>`;
}

const focused = new WeakSet();
function focusOnce(element) {
  if (!element || focused.has(element)) return;
  focused.add(element);
  element.focus();
}
