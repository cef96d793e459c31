/** The colours and weights of terminals: the parameters of `ESC [ … m`, and no other sequence. */

export const PLAIN = Object.freeze({
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
  front: undefined,
  back: undefined,
});

const SET = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const UNSET = { 23: "italic", 24: "underline", 27: "inverse", 29: "strike" };

const STEPS = [0, 95, 135, 175, 215, 255];

/** One of 256 colours: a number below 16 is a class of the style sheet; others are `rgb()`. */
function indexed(index) {
  if (!(index >= 0 && index <= 255)) return undefined;
  if (index < 16) return index;
  if (index >= 232) return rgb(Array(3).fill(8 + 10 * (index - 232)));
  const cube = index - 16;
  return rgb([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((at) => STEPS[at]));
}

function rgb(parts) {
  const isColour = parts.length === 3 && parts.every((part) => part >= 0 && part <= 255);
  return isColour ? `rgb(${parts.join(",")})` : undefined;
}

/** The colour behind 38 or 48, and the number of parameters that it takes. */
function extended(numbers, at) {
  if (numbers[at + 1] === 5) return { colour: indexed(numbers[at + 2]), taken: 2 };
  if (numbers[at + 1] === 2) return { colour: rgb(numbers.slice(at + 2, at + 5)), taken: 4 };
  return { colour: undefined, taken: 1 };
}

/** The style after a sequence. @param parameters the text between `ESC [` and `m`. */
export function styled(before, parameters) {
  const numbers = parameters.split(/[;:]/).map((text) => (text === "" ? 0 : Number(text)));
  let style = { ...before };
  for (let at = 0; at < numbers.length; at++) {
    const number = numbers[at];
    if (number === 0) style = { ...PLAIN };
    else if (number === 22) Object.assign(style, { bold: false, dim: false });
    else if (number in SET) style[SET[number]] = true;
    else if (number in UNSET) style[UNSET[number]] = false;
    else if (number >= 30 && number <= 37) style.front = number - 30;
    else if (number >= 90 && number <= 97) style.front = number - 82;
    else if (number >= 40 && number <= 47) style.back = number - 40;
    else if (number >= 100 && number <= 107) style.back = number - 92;
    else if (number === 39) style.front = undefined;
    else if (number === 49) style.back = undefined;
    else if (number === 38 || number === 48) {
      const { colour, taken } = extended(numbers, at);
      style[number === 38 ? "front" : "back"] = colour;
      at += taken;
    }
  }
  return style;
}

const luminanceOf = (colour) => {
  const [red, green, blue] = colour.match(/\d+/g).map(Number);
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
};

/** The attributes of a span in this style: classes, and a colour of its own where it has one. */
export function attributesOf(style) {
  const { inverse } = style;
  const front = inverse ? (style.back ?? 0) : style.front;
  const back = inverse ? (style.front ?? 7) : style.back;
  const classes = ["bold", "dim", "italic", "underline", "strike"].filter((name) => style[name]);
  const own = {};
  // A colour that is as dark as the panel would hide the text.
  const isHidden = back === undefined && typeof front === "string" && luminanceOf(front) < 0.2;
  if (typeof front === "number") classes.push(`front-${front}`);
  else if (front !== undefined && !isHidden) own.color = front;
  if (typeof back === "number") classes.push(`back-${back}`);
  else if (back !== undefined) own.backgroundColor = back;
  return { class: classes.join(" "), style: Object.keys(own).length > 0 ? own : undefined };
}
