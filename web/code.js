/**
 * Codes drawn as pictures: 16 x 16 flat grey blocks, each with two bits at one of four levels, the first ones sent.
 *
 * The same as i2p_tf/drawing.py.
 */

/** Numbers of bits that may be sent. */
export const BITS = [8, 16, 32, 64, 128, 256, 512];

const GRID = 16;
const BITS_A_BLOCK = 2;
const LEVELS = [0, 64, 191, 255];
const NOT_SENT = 128;

/**
 * Leaves the first `bits` bits of the drawing of a whole code and makes the other blocks middle grey.
 *
 * @param {Uint8Array} pixels RGB, `size * size * 3`, changed in place.
 * @param {number} size width and height, a multiple of 16.
 * @param {number} bits a member of `BITS`.
 * @throws {RangeError} if the pixels are no drawing: then they are more than a code, and must not be sent.
 */
export function cut(pixels, size, bits) {
  const side = size / GRID;
  for (let block = 0; block < GRID * GRID; block++) {
    const first = (Math.floor(block / GRID) * side * size + (block % GRID) * side) * 3;
    const level = pixels[first];
    const sent = block < bits / BITS_A_BLOCK;
    for (let row = 0; row < side; row++) {
      for (let i = first + row * size * 3, end = i + side * 3; i < end; i++) {
        if (pixels[i] !== level || !LEVELS.includes(level)) throw new RangeError("the picture is no drawing of a code");
        if (!sent) pixels[i] = NOT_SENT;
      }
    }
  }
}
