/**
 * The output of a child as lines of coloured text. Colours are kept; every other sequence of a
 * terminal is left out, and so are control characters.
 */
import { PLAIN, styled } from "./sgr.js";

/** The panel keeps 10,000 lines, and 4 Mi characters of them; the oldest go first. */
const MAX_LINES = 10_000;
const MAX_CHARS = 4 * 1_024 * 1_024;
/** A line shows its first 4,096 characters, in 200 spans at most. */
const MAX_LINE = 4_096;
const MAX_SPANS = 200;
/** A sequence that does not end within 256 characters is no sequence: what follows is text. */
const MAX_SEQUENCE = 256;

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: these are what it looks for.
const PRINTED = /[^\u0000-\u0008\u000a-\u001f\u007f-\u009f]+/y;
const START = /^[\u001b\u0090\u0098\u009b\u009d-\u009f]/;
// Sequences that end: colours and other commands, strings up to BEL or ST, and short escapes.
const COMMAND = /^(?:\u001b\[|\u009b)([\u0030-\u003f]*)[\u0020-\u002f]*([\u0040-\u007e])/;
const STRING = /^(?:\u001b[\]PX^_]|[\u0090\u0098\u009d-\u009f])/;
const STRING_END = /\u0007|\u001b\\|\u009c/;
const ESCAPE = /^\u001b[\u0020-\u002f]*[\u0030-\u005a\u005c-\u007e]/;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: these are what it looks for.

const newLine = (stream) => ({ stream, spans: [], length: 0, cut: 0, text: undefined });

export class Terminal {
  lines = [];
  /** Lines that are no longer kept. */
  dropped = 0;
  #chars = 0;
  /** Of each stream: its style, the line that is open, and a sequence that is not whole. */
  #streams = {};

  /** @param stream `stdout`, `stderr` or `note`. */
  write(stream, text) {
    this.#streams[stream] ??= { stream, style: PLAIN, rest: "" };
    const state = this.#streams[stream];
    const whole = state.rest + text;
    state.rest = "";
    let at = 0;
    while (at < whole.length) {
      PRINTED.lastIndex = at;
      const printed = PRINTED.exec(whole)?.[0];
      if (printed) this.#print(state, printed);
      at += printed?.length ?? 0;
      if (at >= whole.length) break;
      const next = this.#control(state, whole, at);
      if (next === undefined) {
        state.rest = whole.slice(at);
        break;
      }
      at = next;
    }
    this.#trim();
  }

  /** A line of our own, between those of the child. */
  note(text) {
    for (const state of Object.values(this.#streams)) state.line = undefined;
    const line = newLine("note");
    this.#add(line, PLAIN, text);
    this.lines.push(line);
  }

  /** Handles a control character. Returns the place behind it; undefined when more has to come. */
  #control(state, text, at) {
    const character = text[at];
    if (character === "\n") {
      this.#line(state);
      state.line = undefined;
      return at + 1;
    }
    if (character === "\r") {
      // The next text writes over the line, as in a bar of progress.
      state.isOver = state.line !== undefined;
      return at + 1;
    }
    return START.test(character) ? this.#sequence(state, text, at) : at + 1;
  }

  /** Leaves out a sequence, but for its colours. A bounded piece of the text is looked at. */
  #sequence(state, text, at) {
    const piece = text.slice(at, at + MAX_SEQUENCE);
    const isString = STRING.test(piece);
    const found = isString ? STRING_END.exec(piece) : (COMMAND.exec(piece) ?? ESCAPE.exec(piece));
    if (found === null) return piece.length < MAX_SEQUENCE ? undefined : at + 1;
    if (!isString && found[2] === "m") state.style = styled(state.style, found[1]);
    return at + found.index + found[0].length;
  }

  #line(state) {
    if (!state.line) {
      state.line = newLine(state.stream);
      this.lines.push(state.line);
    }
    return state.line;
  }

  #print(state, text) {
    const line = this.#line(state);
    if (state.isOver) {
      this.#chars -= line.length;
      Object.assign(line, newLine(state.stream));
    }
    state.isOver = false;
    this.#add(line, state.style, text);
  }

  #add(line, style, text) {
    const isFull = line.spans.length >= MAX_SPANS && line.spans.at(-1).style !== style;
    const kept = isFull ? "" : text.slice(0, MAX_LINE - line.length);
    line.cut += text.length - kept.length;
    line.text = undefined;
    if (kept === "") return;
    const last = line.spans.at(-1);
    if (last?.style === style) last.text += kept;
    else line.spans.push({ style, text: kept });
    line.length += kept.length;
    this.#chars += kept.length;
  }

  #trim() {
    let excess = 0;
    while (this.lines.length - excess > MAX_LINES || this.#chars > MAX_CHARS) {
      this.#chars -= this.lines[excess].length;
      excess++;
    }
    if (excess === 0) return;
    this.lines.splice(0, excess);
    this.dropped += excess;
  }
}

/** The text of a line, to search in. */
export function textOf(line) {
  line.text ??= line.spans.map(({ text }) => text).join("");
  return line.text;
}
