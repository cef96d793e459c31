/** Bounds the error that a function threw, and writes a line about it for people. */
import { type FunctionError, MAX_DETAIL, shortened } from "../../../openapi/errors.ts";
import type { Outcome } from "../runtime.ts";

/** The most characters of each text of an error. */
const MAX_TEXTS = { name: 255, message: MAX_DETAIL, stack: 2 * MAX_DETAIL, code: 255 };
/** An error has at most 16 errors, its causes and those that it groups included. */
const MAX_ERRORS = 16;
/** 40,960 characters: all texts of an error and of those behind it. */
const MAX_CHARACTERS = 40_960;

/** @param detail the error for people, without those behind it. */
export function threw(error: FunctionError, detail: string): Outcome & { kind: "threw" } {
  const bounded = new Bounds().apply(error);
  return { kind: "threw", error: bounded, detail: detail + behind(bounded) };
}

/** The room that remains for the error and those behind it. */
class Bounds {
  #errors = MAX_ERRORS;
  #characters = MAX_CHARACTERS;

  apply({ name, message, stack, code, cause, errors }: FunctionError): FunctionError {
    this.#errors -= 1;
    const texts = {
      name: this.#cut(name, MAX_TEXTS.name),
      message: this.#cut(message, MAX_TEXTS.message),
      ...(code !== undefined && { code: this.#cut(code, MAX_TEXTS.code) }),
      ...(stack !== undefined && { stack: this.#cut(stack, MAX_TEXTS.stack) }),
    };
    return {
      ...texts,
      ...(cause && this.#hasRoom && { cause: this.apply(cause) }),
      ...(errors && {
        errors: errors.flatMap((each) => (this.#hasRoom ? [this.apply(each)] : [])),
      }),
    };
  }

  get #hasRoom(): boolean {
    return this.#errors > 0 && this.#characters > 0;
  }

  #cut(text: string, max: number): string {
    const cut = shortened(text, Math.min(max, this.#characters));
    this.#characters = Math.max(0, this.#characters - cut.length);
    return cut;
  }
}

/** The errors behind an error, as text that follows it. */
function behind({ cause, errors = [] }: FunctionError): string {
  const group = errors.length > 0 ? ` (${errors.map(summary).join("; ")})` : "";
  return group + (cause ? `; caused by ${summary(cause)}` : "");
}

function summary(error: FunctionError): string {
  const { name, message } = error;
  return (message === "" ? name : `${name}: ${message}`) + behind(error);
}
