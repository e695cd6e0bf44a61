/**
 * Pixels to a PNG file. A canvas could do it too, but browsers that guard against fingerprinting change its pixels.
 */

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const RGB_8_BITS = [8, 2, 0, 0, 0];

/**
 * @param {import("./resize.js").Picture} picture
 * @returns {Promise<Uint8Array>} a PNG file, RGB, without metadata.
 */
export async function toPng({ width, height, data }) {
  const stride = 3 * width;
  const lines = new Uint8Array(height * (1 + stride)); // the first byte of each says that it is not filtered
  for (let y = 0; y < height; y++) lines.set(data.subarray(y * stride, (y + 1) * stride), y * (1 + stride) + 1);
  const header = new Uint8Array([..._word(width), ..._word(height), ...RGB_8_BITS]);
  const parts = [_chunk("IHDR", header), _chunk("IDAT", await _deflate(lines)), _chunk("IEND", new Uint8Array())];
  return new Uint8Array(await new Blob([new Uint8Array(SIGNATURE), ...parts]).arrayBuffer());
}

async function _deflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function _chunk(name, content) {
  const named = new Uint8Array([...new TextEncoder().encode(name), ...content]);
  return new Uint8Array([..._word(content.length), ...named, ..._word(_crc32(named))]);
}

function _word(value) {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
}

function _crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}
