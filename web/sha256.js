/**
 * SHA-256 (FIPS 180-4). The browser's own is only there on HTTPS and on this computer, and the page has to work on a
 * phone in the same house too.
 */

const [ROUND_CONSTANTS, START] = _constants();

/**
 * @param {Uint8Array} bytes
 * @returns {string} 64 hexadecimal digits.
 */
export function sha256(bytes) {
  const blocks = Math.ceil((bytes.length + 9) / 64);
  const padded = new Uint8Array(64 * blocks);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length << 3);
  const state = START.slice();
  const schedule = new Int32Array(64);
  for (let block = 0; block < blocks; block++) _compress(state, schedule, view, 64 * block);
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

function _compress(state, schedule, view, offset) {
  for (let i = 0; i < 16; i++) schedule[i] = view.getInt32(offset + 4 * i);
  for (let i = 16; i < 64; i++) {
    const [early, late] = [schedule[i - 15], schedule[i - 2]];
    const mixedEarly = _rotate(early, 7) ^ _rotate(early, 18) ^ (early >>> 3);
    const mixedLate = _rotate(late, 17) ^ _rotate(late, 19) ^ (late >>> 10);
    schedule[i] = schedule[i - 16] + mixedEarly + schedule[i - 7] + mixedLate;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const mixedE = _rotate(e, 6) ^ _rotate(e, 11) ^ _rotate(e, 25);
    const first = (h + mixedE + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[i] + schedule[i]) | 0;
    const mixedA = _rotate(a, 2) ^ _rotate(a, 13) ^ _rotate(a, 22);
    const second = (mixedA + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + first) | 0, c, b, a, (first + second) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] += word));
}

function _rotate(word, bits) {
  return (word >>> bits) | (word << (32 - bits));
}

/** The first 32 bits of the fractional parts of the cube and square roots of the first primes. */
function _constants() {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  const fraction = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0;
  return [
    Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime))),
    Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime))),
  ];
}
