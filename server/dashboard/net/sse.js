/** Reads server-sent events from the body of an answer. `EventSource` cannot send a token. */

/** The longest event, in characters. */
const MAX_EVENT = 4 * 1_024 * 1_024;
/** Members send a sign of life more often than this. */
const SILENCE_MS = 45_000;

/** Yields `{ id, data }`, `data` being parsed. Ends with the answer; throws when it was cut. */
export async function* events(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let id;
  let data = "";
  try {
    for (;;) {
      const { done, value } = await heard(reader);
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      if (rest.length + data.length > MAX_EVENT) throw new Error("an event is too long");
      for (const line of lines) {
        if (line === "") {
          if (data !== "") yield { id, data: JSON.parse(data) };
          data = "";
        } else if (line.startsWith("data:")) data += line.slice(line[5] === " " ? 6 : 5);
        else if (line.startsWith("id:")) id = line.slice(3).trim();
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function heard(reader) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("the stream fell silent")), SILENCE_MS);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits, unless the signal aborts before. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", over);
      resolve();
    };
    const timer = setTimeout(over, ms);
    signal?.addEventListener("abort", over);
  });
}
