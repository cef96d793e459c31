/** A stream of a child's events as the state of a view. */
import { useEffect, useRef, useState } from "preact/hooks";
import { readOutput } from "../net/output.js";
import { Frames } from "../state/frames.js";
import { bytes } from "../text/format.js";
import { harmless } from "../text/harmless.js";
import { Terminal } from "../text/terminal.js";

const fresh = () => ({ terminal: new Terminal(), version: 0, word: "" });

function take(state, event) {
  const { terminal } = state;
  if (event.type === "stdout" || event.type === "stderr") {
    if (event.text !== undefined) terminal.write(event.type, event.text);
    else terminal.write(event.type, decoded(state, event));
  } else if (event.type === "gap")
    terminal.note(`— ${bytes(event.droppedBytes)} are no longer kept —`);
  else if (event.type === "queued") state.word = `waits at place ${event.position}`;
  else if (event.type === "placed") Object.assign(state, { id: event.child.id, word: "live" });
  else if (event.type === "result") Object.assign(state, { ending: event, word: "ended" });
  else if (event.type === "failed" && !event.child)
    Object.assign(state, { ending: event, word: "failed" });
}

function decoded(state, { type, base64 }) {
  state.decoders ??= {};
  state.decoders[type] ??= new TextDecoder();
  const raw = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return state.decoders[type].decode(raw, { stream: true });
}

/**
 * Reads from `start` on: an id of a child, or a call. Undefined reads nothing.
 *
 * @returns `{ terminal, version, word, id, ending, trouble }`
 */
export function useStream(start) {
  const state = useRef(fresh());
  const [, draw] = useState(0);
  useEffect(() => {
    state.current = fresh();
    draw((count) => count + 1);
    if (start === undefined) return undefined;
    const leaving = new AbortController();
    const frames = new Frames(() => draw((count) => count + 1));
    const own = state.current;
    const tell = (fields) => {
      Object.assign(own, fields);
      own.version++;
      if (!leaving.signal.aborted) frames.later();
    };
    tell({ word: "opening" });
    const on = (event) => {
      if (own.word === "reconnecting" || own.word === "opening") own.word = "live";
      take(own, event);
      tell({});
    };
    const onCut = () => tell({ word: "reconnecting" });
    readOutput(start, { on, onCut, signal: leaving.signal }).then(
      () => tell({ word: own.ending ? own.word : "ended" }),
      (error) => tell({ word: "stopped", trouble: harmless(error.message) }),
    );
    return () => leaving.abort();
  }, [start]);
  return state.current;
}
