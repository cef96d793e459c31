/** The words of a command line: quotes and backslashes as in a shell, and nothing else of it. */

/** @throws {SyntaxError} for a quote that does not end. */
export function argvOf(line) {
  const words = [];
  let word;
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const character = line[at];
    if (quote !== "") {
      if (character === quote) quote = "";
      else if (character === "\\" && quote === '"' && /["\\$`]/.test(line[at + 1] ?? ""))
        word += line[++at];
      else word += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= "";
    } else if (character === "\\" && at + 1 < line.length) word = (word ?? "") + line[++at];
    else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + character;
  }
  if (quote !== "") throw new SyntaxError(`expected another ${quote} at the end`);
  if (word !== undefined) words.push(word);
  return words;
}
