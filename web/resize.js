/**
 * Makes a picture square with the same pixels as Pillow 13: boxes of pixels are averaged, then an antialiased bicubic
 * filter goes along the rows and along the columns, in fixed point.
 *
 * Browsers scale with filters of their own, and a network answers for the pixels that it has been trained on.
 *
 * @typedef {{width: number, height: number, data: Uint8Array}} Picture RGB, three bytes a pixel, row by row.
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box in pixels, of which there may be halves.
 */

/** The rules of `i2p_tf.pictures.resize`. */
export const RESIZE_RULES = ["crop", "fit", "stretch"];

const SUPPORT = 2; // of the bicubic filter, in pixels of the smaller picture
const REDUCING_GAP = 3; // how much larger than its goal a picture stays when boxes of pixels are averaged
const PRECISION_BITS = 22;

/**
 * How a picture becomes square: `region` of it is averaged in boxes of `factor` pixels; of the result `box` is scaled
 * to `width` x `height`, which lie at `left` and `top` in the black square.
 *
 * @param {number} width of the picture.
 * @param {number} height of the picture.
 * @param {number} size height and width of the square.
 * @param {string} rule one of `RESIZE_RULES`.
 */
export function plan(width, height, size, rule) {
  const whole = { left: 0, top: 0, right: width, bottom: height };
  if (rule === "stretch") return { left: 0, top: 0, ..._scaling(width, height, whole, size, size) };
  if (rule === "crop") {
    const side = Math.min(width, height);
    const [left, top] = [(width - side) / 2, (height - side) / 2];
    const box = { left, top, right: left + side, bottom: top + side };
    return { left: 0, top: 0, ..._scaling(width, height, box, size, size) };
  }
  if (rule === "fit") {
    const factor = size / Math.max(width, height);
    const [across, down] = [width, height].map((side) => Math.max(1, _roundHalfToEven(side * factor)));
    const place = { left: Math.floor((size - across) / 2), top: Math.floor((size - down) / 2) };
    return { ...place, ..._scaling(width, height, whole, across, down) };
  }
  throw new RangeError(`the resize rule must be one of ${RESIZE_RULES.join(", ")}. Received: ${rule}`);
}

/**
 * Averages boxes of pixels; those at the right and at the bottom may be smaller.
 *
 * @param {Picture} picture
 * @param {[number, number]} factor width and height of a box.
 * @returns {Picture}
 */
export function reduce(picture, [across, down]) {
  if (across === 1 && down === 1) return picture;
  const reduced = _empty(Math.ceil(picture.width / across), Math.ceil(picture.height / down));
  let target = 0;
  for (let top = 0; top < picture.height; top += down) {
    const bottom = Math.min(top + down, picture.height);
    for (let left = 0; left < picture.width; left += across) {
      const right = Math.min(left + across, picture.width);
      const count = (right - left) * (bottom - top);
      // As a product, because Pillow does not divide either; its factor has the precision of a 32-bit float.
      const inverse = Math.floor(Math.fround(2 ** 24 / count));
      let red = count >> 1;
      let [green, blue] = [red, red];
      for (let y = top; y < bottom; y++) {
        const end = 3 * (y * picture.width + right);
        for (let source = 3 * (y * picture.width + left); source < end; source += 3) {
          red += picture.data[source];
          green += picture.data[source + 1];
          blue += picture.data[source + 2];
        }
      }
      for (const sum of [red, green, blue]) reduced.data[target++] = Math.floor((sum * inverse) / 2 ** 24);
    }
  }
  return reduced;
}

/**
 * Scales a part of a picture.
 *
 * @param {Picture} picture
 * @param {Box} box the part.
 * @param {number} width of the result.
 * @param {number} height of the result.
 * @returns {Picture}
 */
export function scale(picture, box, width, height) {
  const passes = [
    (source) => _pass(source, "rows", source.width, box.left, box.right, width),
    (source) => _pass(source, "columns", source.height, box.top, box.bottom, height),
  ];
  // Each pass rounds, so the order counts: Pillow's is columns first where the height shrinks much more.
  const shrinks = picture.height - height;
  if (shrinks > 0 && shrinks > 2 * (picture.width - width)) passes.reverse();
  return passes.reduce((source, pass) => pass(source), picture);
}

/**
 * Lays a picture into a black square.
 *
 * @param {Picture} picture
 * @param {number} size
 * @param {number} left
 * @param {number} top
 * @returns {Picture}
 */
export function paste(picture, size, left, top) {
  if (picture.width === size && picture.height === size) return picture;
  const square = _empty(size, size);
  for (let y = 0; y < picture.height; y++) {
    const row = picture.data.subarray(3 * y * picture.width, 3 * (y + 1) * picture.width);
    square.data.set(row, 3 * ((top + y) * size + left));
  }
  return square;
}

function _scaling(width, height, box, across, down) {
  const scales = [(box.right - box.left) / across, (box.bottom - box.top) / down];
  const factor = /** @type {[number, number]} */ (
    scales.map((ratio) => Math.max(1, Math.floor(ratio / REDUCING_GAP)))
  );
  if (factor[0] === 1 && factor[1] === 1) {
    return { region: { left: 0, top: 0, right: width, bottom: height }, factor, box, width: across, height: down };
  }
  const [marginX, marginY] = scales.map((ratio) => (SUPPORT - 0.5) * ratio);
  const region = {
    left: Math.max(0, Math.trunc(box.left - marginX)),
    top: Math.max(0, Math.trunc(box.top - marginY)),
    right: Math.min(width, Math.ceil(box.right + marginX)),
    bottom: Math.min(height, Math.ceil(box.bottom + marginY)),
  };
  const reduced = {
    left: (box.left - region.left) / factor[0],
    top: (box.top - region.top) / factor[1],
    right: (box.right - region.left) / factor[0],
    bottom: (box.bottom - region.top) / factor[1],
  };
  return { region, factor, box: reduced, width: across, height: down };
}

function _pass(picture, along, length, start, end, target) {
  const isWhole = start === 0 && end === length && target === length;
  return isWhole ? picture : _filter(picture, _weights(length, start, end, target), along);
}

/** For each pixel of the result, the first pixel that it is made of and their weights, in 22-bit fixed point. */
function _weights(length, start, end, target) {
  const first = Math.fround(start); // Pillow's boxes are 32-bit floats
  const ratio = Math.fround(Math.fround(end) - first) / target;
  const blur = Math.max(1, ratio);
  return Array.from({ length: target }, (_, index) => {
    const centre = first + (index + 0.5) * ratio;
    const from = Math.max(0, Math.trunc(centre - SUPPORT * blur + 0.5));
    const to = Math.min(length, Math.trunc(centre + SUPPORT * blur + 0.5));
    const values = [];
    let sum = 0;
    for (let place = from; place < to; place++) {
      const value = _bicubic((place - centre + 0.5) * (1 / blur));
      values.push(value);
      sum += value;
    }
    return { from, weights: values.map((value) => _roundHalfUp((sum ? value / sum : value) * 2 ** PRECISION_BITS)) };
  });
}

function _filter(picture, weights, along) {
  const acrossRows = along === "rows";
  const filtered = acrossRows ? _empty(weights.length, picture.height) : _empty(picture.width, weights.length);
  const [step, skip] = acrossRows ? [3, 3 * picture.width] : [3 * picture.width, 3];
  const lines = acrossRows ? picture.height : picture.width;
  const [stepOut, skipOut] = acrossRows ? [3, 3 * filtered.width] : [3 * filtered.width, 3];
  for (let line = 0; line < lines; line++) {
    weights.forEach(({ from, weights: factors }, index) => {
      for (let channel = 0; channel < 3; channel++) {
        let source = line * skip + from * step + channel;
        let sum = 2 ** (PRECISION_BITS - 1);
        for (const factor of factors) {
          sum += picture.data[source] * factor;
          source += step;
        }
        const value = Math.floor(sum / 2 ** PRECISION_BITS);
        filtered.data[line * skipOut + index * stepOut + channel] = Math.min(255, Math.max(0, value));
      }
    });
  }
  return filtered;
}

function _bicubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

function _roundHalfUp(value) {
  return Math.trunc(value + Math.sign(value) * 0.5);
}

function _roundHalfToEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}

function _empty(width, height) {
  return { width, height, data: new Uint8Array(3 * width * height) };
}
