/** Shows characters that could deceive a reader by their code, as `⟨U+202E⟩`. */

// Controls, marks that turn the direction of text, and separators that break a line.
const CONTROLS = "\\u0000-\\u0008\\u000a-\\u001f\\u007f-\\u009f";
const MARKS = "\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb";
// Characters that nobody sees. Joiners stay: scripts and emoji need them.
const UNSEEN =
  "\\u00ad\\u034f\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180e\\u3164\\uffa0\\u{e0000}-\\u{e0fff}";
const DECEIVING = new RegExp(`[${CONTROLS}${MARKS}${UNSEEN}]`, "gu");

const code = (character) =>
  `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;

/**
 * One line of text that others chose, such as a label or a name.
 *
 * @param maxLength the most characters of it; `…` takes the place of the rest.
 */
export function harmless(text, maxLength = 300) {
  const given = String(text ?? "");
  const shown = given.length > maxLength ? `${given.slice(0, maxLength)}…` : given;
  return shown.replace(DECEIVING, code);
}
