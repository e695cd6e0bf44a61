/** One picture: from a file or pixels of any size to the square of pixels that `bin/protect` would make of it. */

import { paste, plan, reduce, scale } from "./resize.js";

/** The largest picture that is decoded, as in `i2p_tf.pictures`: 320 MB of memory. */
export const MAX_PIXELS = 80_000_000;

// Pillow decodes a large JPEG file at a fraction of its size; `i2p_tf.pictures` keeps twice the pixels that are needed.
const JPEG_FRACTIONS = [8, 4, 2];
const JPEG_RESERVE = 2;
// What is read from a canvas at once, in pixels, and its width: browsers limit both.
const BAND_PIXELS = 1 << 20;
const CANVAS_SIDE = 8192;

/** A file that can't be used as a picture. */
export class PictureError extends Error {}

/**
 * Makes a picture square. A file is turned upright as its EXIF orientation says; colour profiles are ignored; what is
 * transparent is laid on white; of an animation the first frame counts.
 *
 * @param {Blob | ImageData} source a file that the browser can decode, or pixels.
 * @param {number} size height and width of the result.
 * @param {string} rule one of `RESIZE_RULES`.
 * @returns {Promise<ImageData>} opaque, `size` x `size`.
 * @throws {PictureError} if it is no picture, damaged, or has more than `MAX_PIXELS`.
 */
export async function makeSquare(source, size, rule) {
  if (!(source instanceof Blob)) {
    _checkSize(source.width, source.height);
    const { width, height } = source;
    return _square({ width, height, read: (box) => toRgb(_cut(source, box)) }, size, rule);
  }
  const bitmap = await _decode(source);
  try {
    const whole = { width: bitmap.width, height: bitmap.height, read: (box) => toRgb(_draw(bitmap, box)) };
    return _square((await _isJpeg(source)) ? _draft(whole, size) : whole, size, rule);
  } finally {
    bitmap.close();
  }
}

/**
 * A picture that is read in parts.
 *
 * @typedef {import("./resize.js").Box} Box
 * @typedef {import("./resize.js").Picture} Picture
 * @typedef {{width: number, height: number, read: (box: Box) => Picture}} Source
 */

/** @param {Source} source */
function _square({ width, height, read }, size, rule) {
  const { region, factor, box, ...target } = plan(width, height, size, rule);
  const across = Math.ceil((region.right - region.left) / factor[0]);
  const down = Math.ceil((region.bottom - region.top) / factor[1]);
  const reduced = { width: across, height: down, data: new Uint8Array(3 * across * down) };
  // In bands of whole boxes, so that a large picture is not in memory a second time.
  const rows = factor[1] * Math.max(1, Math.floor(BAND_PIXELS / (region.right - region.left) / factor[1]));
  for (let top = region.top; top < region.bottom; top += rows) {
    const band = read({ ...region, top, bottom: Math.min(top + rows, region.bottom) });
    reduced.data.set(reduce(band, factor).data, (3 * across * (top - region.top)) / factor[1]);
  }
  return toImageData(paste(scale(reduced, box, target.width, target.height), size, target.left, target.top));
}

/**
 * What Pillow's decoder makes of a large JPEG file, to within a level where colours change slowly.
 *
 * @param {Source} whole
 * @returns {Source}
 */
function _draft(whole, size) {
  const reserve = Math.floor(Math.min(whole.width, whole.height) / (JPEG_RESERVE * size));
  const fraction = JPEG_FRACTIONS.find((candidate) => candidate <= reserve);
  if (!fraction) return whole;
  const read = ({ left, top, right, bottom }) =>
    reduce(
      whole.read({
        left: left * fraction,
        top: top * fraction,
        right: Math.min(right * fraction, whole.width),
        bottom: Math.min(bottom * fraction, whole.height),
      }),
      [fraction, fraction],
    );
  return { width: Math.ceil(whole.width / fraction), height: Math.ceil(whole.height / fraction), read };
}

async function _isJpeg(file) {
  const start = new Uint8Array(await file.slice(0, 3).arrayBuffer());
  return start[0] === 0xff && start[1] === 0xd8 && start[2] === 0xff;
}

async function _decode(file) {
  const { width, height } = await _measure(file);
  _checkSize(width, height);
  /** @type {ImageBitmapOptions} */
  const options = { imageOrientation: "from-image", premultiplyAlpha: "premultiply", colorSpaceConversion: "none" };
  try {
    return await createImageBitmap(file, options);
  } catch (error) {
    throw new PictureError(
      "The file is damaged, not of a kind that this browser can read, or too large for this device's memory.",
      { cause: error },
    );
  }
}

/** Width and height without decoding the pixels: a small file can hold billions of them. */
async function _measure(file) {
  const image = new Image();
  const url = URL.createObjectURL(file);
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
      image.src = url;
    });
  } catch (error) {
    throw new PictureError("The file is not a picture that this browser can read.", { cause: error });
  } finally {
    URL.revokeObjectURL(url);
  }
  return { width: image.naturalWidth, height: image.naturalHeight };
}

function _checkSize(width, height) {
  if (width * height > MAX_PIXELS) {
    const [has, allowed] = [width * height, MAX_PIXELS].map((count) => Math.round(count / 1e6));
    throw new PictureError(`The picture has ${has} megapixels; ${allowed} are allowed. Make it smaller first.`);
  }
  if (!(width >= 1 && height >= 1)) throw new PictureError("The picture has no pixels.");
}

function _draw(bitmap, { left, top, right, bottom }) {
  const drawn = new ImageData(right - left, bottom - top);
  for (let x = left; x < right; x += CANVAS_SIDE) {
    const canvas = new OffscreenCanvas(Math.min(CANVAS_SIDE, right - x), bottom - top);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(bitmap, -x, -top);
    const { width, data } = context.getImageData(0, 0, canvas.width, canvas.height);
    for (let y = 0; y < drawn.height; y++) {
      drawn.data.set(data.subarray(4 * y * width, 4 * (y + 1) * width), 4 * (y * drawn.width + x - left));
    }
  }
  return drawn;
}

function _cut(pixels, { left, top, right, bottom }) {
  const part = new ImageData(right - left, bottom - top);
  for (let y = top; y < bottom; y++) {
    const start = 4 * (y * pixels.width + left);
    part.data.set(pixels.data.subarray(start, start + 4 * part.width), 4 * (y - top) * part.width);
  }
  return part;
}

/**
 * What is transparent is laid on white.
 *
 * @param {ImageData} image
 * @returns {Picture}
 */
export function toRgb({ width, height, data }) {
  const opaque = new Uint8Array(3 * width * height);
  for (let source = 0, target = 0; source < data.length; source += 4) {
    const alpha = data[source + 3];
    for (let channel = 0; channel < 3; channel++) {
      opaque[target++] = Math.floor((data[source + channel] * alpha + 127) / 255) + 255 - alpha;
    }
  }
  return { width, height, data: opaque };
}

/**
 * @param {Picture} picture
 * @returns {ImageData} opaque.
 */
export function toImageData({ width, height, data }) {
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < width * height; pixel++) {
    image.data.set([...data.subarray(3 * pixel, 3 * pixel + 3), 255], 4 * pixel);
  }
  return image;
}
