/**
 * Protects pictures in the browser and asks a classifier about them. Only what a transform has made can be sent.
 *
 *     import { load, Classifier } from "./i2p.js";
 *     const transform = await load("/export/manifest.json");
 *     const classifier = new Classifier("https://HOST", transform);
 *     const { labels } = await classifier.classify(await transform.protect(file));
 *
 * Messages of errors are whole sentences for the person in front of the page.
 */

import { BITS, cut } from "./code.js";
import { makeSquare, PictureError, toImageData, toRgb } from "./pictures.js";
import { toPng } from "./png.js";
import { RESIZE_RULES } from "./resize.js";
import { sha256 } from "./sha256.js";

export { BITS, PictureError };

/** The transform can't be loaded, or can't run here. */
export class TransformError extends Error {}

/** The server can't be asked, or its answer can't be used. */
export class ServerError extends Error {
  /**
   * @param {string} message
   * @param {{status?: number, isPassing?: boolean}} [details] of the HTTP answer; whether asking again may help.
   */
  constructor(message, { status, isPassing = false } = {}) {
    super(message.replace(/[\p{C}\p{Z}]+/gu, " ").slice(0, MAX_MESSAGE)); // it may quote the server
    this.status = status;
    this.isPassing = isPassing;
  }
}

/** The server has a model that the transform was not made for; nothing was sent to this version of it. */
export class ModelMismatch extends ServerError {}

const SCHEMA = 1;
const PREFERRED = ["int8", "qat", "float16", "float32"]; // the smallest download first
const RUNTIME = new URL("./node_modules/@litertjs/core/wasm/", import.meta.url);
const SIGNATURES = ["serving_default", "image_bytes", "class_names"];
const MAX_NAMES = 64; // in one request
const MAX_MESSAGE = 1000; // characters
const ATTEMPTS = 4;
const PAUSE = 200; // milliseconds before the second attempt; twice as long before each further one
const MAY_BE_RETRIED = [429, 502, 503, 504];

// Image that a transform has made -> that transform, and the pixels, which are sent whatever becomes of the image.
const made = new WeakMap();
let runtime; // promise of LiteRT, which is loaded once

/**
 * Loads the transformation network of an export and checks it against its manifest.
 *
 * @param {string | URL} manifestUrl of the export's manifest.json; the network is looked for beside it.
 * @param {{variant?: string}} [options] which file: float32, float16, int8 or qat; if not given, the smallest.
 * @returns {Promise<Transform>}
 * @throws {TransformError} if it is not there, damaged or no transform, or this browser can't run it.
 */
export async function load(manifestUrl, { variant } = {}) {
  const url = new URL(manifestUrl, globalThis.document?.baseURI);
  const manifest = _readManifest(await _download(url), url);
  const chosen = variant ?? PREFERRED.find((name) => name in manifest.variants);
  const file = manifest.variants[chosen]?.file;
  if (!file) {
    const available = Object.keys(manifest.variants).join(", ") || "none";
    throw new TransformError(`The export has no variant ${variant ?? "to run here"}; it has: ${available}.`);
  }
  const bytes = await _download(new URL(file, url));
  if (sha256(bytes) !== manifest.files[file]?.sha256) {
    throw new TransformError(`The transform is damaged: the SHA-256 of ${file} is not that of its manifest.`);
  }
  const liteRt = await _loadRuntime();
  try {
    const model = await liteRt.loadAndCompile(bytes, { accelerator: "wasm" });
    const transform = new Transform(manifest, chosen, liteRt, model);
    await transform.protect(new ImageData(transform.imageSize, transform.imageSize)); // the first run is a slow one
    return transform;
  } catch (error) {
    throw new TransformError(`This browser cannot run the transform (${error.message}).`, { cause: error });
  }
}

/** h_θ: plain pictures in, protected pictures out. Made by `load`. */
export class Transform {
  #liteRt;
  #model;
  #bits;

  constructor(manifest, variant, liteRt, model) {
    this.#liteRt = liteRt;
    this.#model = model;
    /** The model's name on the server. */
    this.name = manifest.name;
    /** Names the pair of networks. */
    this.runId = manifest.run_id;
    this.variant = variant;
    /** Height and width of the pictures. */
    this.imageSize = manifest.image_size;
    this.resizeRule = manifest.resize_rule;
    this.classNames = manifest.class_names;
    /** How many different pictures it can make, if it only chooses among some; else null. */
    this.codewords = _codewords(manifest);
    this.#bits = manifest.bits ?? null;
  }

  /** How many bits of a code are sent of a picture, a member of `BITS`; null if it sends something else. */
  get bits() {
    return this.#bits;
  }

  set bits(bits) {
    if (this.#bits === null || !BITS.includes(bits)) {
      throw new RangeError(`\`bits\` must be one of ${BITS.join(", ")}, of a transform that sends codes; got ${bits}`);
    }
    this.#bits = bits;
  }

  /**
   * Crops and scales a picture as the network wants it. Nothing is hidden in it yet.
   *
   * @param {Blob | ImageData} picture
   * @returns {Promise<ImageData>}
   * @throws {PictureError} if it can't be used.
   */
  prepare(picture) {
    return makeSquare(picture, this.imageSize, this.resizeRule);
  }

  /**
   * Protects a picture of any size.
   *
   * @param {Blob | ImageData} picture
   * @returns {Promise<ImageData>} what may be sent.
   * @throws {PictureError} if it can't be used.
   */
  async protect(picture) {
    const plain = await this.prepare(picture);
    const size = this.imageSize;
    const input = new this.#liteRt.Tensor(toRgb(plain).data, [1, size, size, 3]);
    let output;
    try {
      [output] = await this.#model.run([input]);
      const data = output.toTypedArray();
      if (this.bits !== null) cut(data, size, this.bits);
      const picture = { width: size, height: size, data };
      const image = toImageData(picture);
      made.set(image, { transform: this, picture });
      return image;
    } finally {
      input.delete();
      output?.delete();
    }
  }
}

/**
 * A model on a server, and the transform that belongs to it.
 *
 * Nothing is sent before the model's metadata have been compared with the transform, and then only to the version they
 * are of: when the server takes that out of service, the new one is compared first.
 */
export class Classifier {
  #base;
  #transform;
  #checked;

  /**
   * @param {string | URL} server address of the REST API, without `/v1`.
   * @param {Transform} transform
   * @param {{model?: string, timeout?: number}} [options] the model's name on the server, if it is not that of the
   *     export; milliseconds that one answer may take.
   */
  constructor(server, transform, { model = transform.name, timeout = 10_000 } = {}) {
    this.address = String(server).replace(/\/+$/, "");
    this.model = model;
    this.timeout = timeout;
    this.#base = `${this.address}/v1/models/${encodeURIComponent(model)}`;
    this.#transform = transform;
  }

  /**
   * Asks what a protected picture shows.
   *
   * @param {ImageData} image what `protect` of the transform has returned.
   * @returns {Promise<{labels: {name: string, probability: number}[], bytes: number, milliseconds: number}>} all
   *     classes, the most probable first; the size of the picture as it was sent; from the request to its answer.
   * @throws {TypeError} if `image` was not made by the transform.
   * @throws {ServerError} if the server can't be asked, or serves another model than the transform is for.
   */
  async classify(image) {
    const { transform, picture } = made.get(image) ?? {};
    if (transform !== this.#transform) {
      throw new TypeError("`image` must be what `protect` of the classifier's transform has returned");
    }
    const png = await toPng(picture);
    const text = Array.from(png, (byte) => String.fromCharCode(byte)).join("");
    const request = { signature_name: "image_bytes", inputs: [{ b64: btoa(text) }] };
    const { metadata, outputs, milliseconds } = await this.#ask(request);
    const probabilities = outputs.probabilities?.[0];
    if (probabilities?.length !== metadata.names.length || !probabilities.every(Number.isFinite)) {
      throw this.#without("probabilities");
    }
    const labels = metadata.names.map((name, index) => ({ name, probability: probabilities[index] }));
    return { labels: labels.sort((a, b) => b.probability - a.probability), bytes: png.length, milliseconds };
  }

  async #ask(request) {
    for (let swapped = false; ; swapped = true) {
      const metadata = await this.check();
      const started = performance.now();
      try {
        const outputs = await this.#predict(metadata.version, request);
        return { metadata, outputs, milliseconds: performance.now() - started };
      } catch (error) {
        if (error.status !== 404 || swapped) throw error;
        this.#checked = undefined;
      }
    }
  }

  /**
   * Compares the model with the transform; once is enough.
   *
   * @returns {Promise<{version: number, names: string[]}>}
   * @throws {ServerError} as `classify`.
   */
  async check() {
    this.#checked ??= await this.#compare();
    return this.#checked;
  }

  async #compare() {
    const { version, size, classes } = this.#readMetadata(await this.#request("/metadata"));
    const names = [];
    let runId;
    while (names.length < classes) {
      const inputs = Array.from({ length: Math.min(MAX_NAMES, classes - names.length) }, (_, i) => names.length + i);
      const outputs = await this.#predict(version, { signature_name: "class_names", inputs });
      if (outputs.class_names?.length !== inputs.length) throw this.#without("the names of its classes");
      names.push(...outputs.class_names.map(String));
      runId = outputs.run_id?.[0];
    }
    const { imageSize, runId: own } = this.#transform;
    if (size !== imageSize || runId !== own) {
      throw new ModelMismatch(
        `This is the wrong server: its model is of run ${runId} with ${size} pixels, ` +
          `the transform of run ${own} with ${imageSize} pixels. Nothing was sent to it.`,
      );
    }
    return { version, names };
  }

  #readMetadata(answer) {
    try {
      const signatures = answer.metadata.signature_def.signature_def;
      const shape = (tensor) => tensor.tensor_shape.dim.map((side) => Number(side.size));
      const [, height, width, channels] = shape(signatures.serving_default.inputs.images);
      const [, classes] = shape(signatures.serving_default.outputs.probabilities);
      const version = Number(answer.model_spec.version);
      const isOurs = SIGNATURES.every((name) => name in signatures) && height === width && channels === 3;
      if (isOurs && classes >= 1 && classes <= 100_000 && Number.isSafeInteger(version)) {
        return { version, size: height, classes };
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
    throw this.#without("the metadata of a classifier that bin/export has written");
  }

  async #predict(version, request) {
    const answer = await this.#request(`/versions/${version}:predict`, JSON.stringify(request));
    if (typeof answer.outputs !== "object" || answer.outputs === null) throw this.#without("outputs");
    return answer.outputs;
  }

  async #request(path, body) {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#exchange(path, body);
      } catch (error) {
        if (!error.isPassing || attempt === ATTEMPTS) throw error;
        await new Promise((resolve) => setTimeout(resolve, PAUSE * 2 ** (attempt - 1) * (1 - Math.random() / 2)));
      }
    }
  }

  async #exchange(path, body) {
    const signal = AbortSignal.timeout(this.timeout);
    let response, answer;
    try {
      response = await fetch(this.#base + path, {
        method: body === undefined ? "GET" : "POST",
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body,
        signal,
        cache: "no-store",
        credentials: "same-origin",
        redirect: "error",
        referrerPolicy: "no-referrer",
      });
      answer = await response.json().catch((error) => {
        if (signal.aborted) throw error;
      });
    } catch (error) {
      if (signal.aborted) {
        throw new ServerError(`The server ${this.address} did not answer within ${this.timeout / 1000} seconds.`);
      }
      const isOwn = new URL(this.address, globalThis.location?.href).origin === globalThis.location?.origin;
      const hint = isOwn ? "Is it running?" : "Is it running, and does it allow pages of other origins (CORS)?";
      throw new ServerError(`The server ${this.address} cannot be reached. ${hint}`, { isPassing: true });
    }
    if (response.ok && answer) return answer;
    const { status } = response;
    const told = answer?.error ? `says: ${answer.error}` : "answers, but not as TF Serving does";
    throw new ServerError(`The server ${this.address} ${told} (status ${status}).`, {
      status,
      isPassing: MAY_BE_RETRIED.includes(status),
    });
  }

  #without(what) {
    return new ServerError(`The server ${this.address} answers, but without ${what}. Is it bin/serve or TF Serving?`);
  }
}

async function _download(url) {
  let response;
  try {
    response = await fetch(url, { cache: "no-cache" });
    if (response.ok) return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new TransformError(`The transform cannot be loaded: ${url.host} does not answer.`, { cause: error });
  }
  throw new TransformError(`The transform cannot be loaded: ${url} is not there (status ${response.status}).`);
}

function _readManifest(bytes, url) {
  let manifest;
  try {
    manifest = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    manifest = null;
  }
  if (manifest?.schema !== SCHEMA && Number.isInteger(manifest?.schema)) {
    throw new TransformError(`The export has format ${manifest.schema}; this page reads format ${SCHEMA}.`);
  }
  const isManifest =
    typeof manifest?.run_id === "string" &&
    Number.isInteger(manifest.image_size) &&
    RESIZE_RULES.includes(manifest.resize_rule) &&
    Array.isArray(manifest.class_names) &&
    (manifest.bits == null || BITS.includes(manifest.bits)) &&
    typeof manifest.variants === "object" &&
    typeof manifest.files === "object";
  if (!isManifest) throw new TransformError(`The manifest ${url} is damaged, or not one that bin/export has written.`);
  return manifest;
}

/** Manifests of earlier versions do not say it, but name the network. */
function _codewords({ codewords, networks, class_names: names }) {
  if (codewords !== undefined) return codewords;
  return /^codebook/.test(networks?.transform) ? names.length : null;
}

function _loadRuntime() {
  if (typeof WebAssembly !== "object") {
    throw new TransformError("This browser has no WebAssembly, or it is switched off. The transform needs it.");
  }
  runtime ??= _startRuntime().catch((error) => {
    runtime = undefined;
    throw new TransformError("LiteRT cannot be loaded: is it installed in web/ (npm ci) and served?", { cause: error });
  });
  return runtime;
}

async function _startRuntime() {
  const liteRt = await import("@litertjs/core");
  // Threads need memory that is shared, which browsers only allow to pages that are isolated from others.
  const needed = await Promise.all(["threads", "relaxedSimd"].map(liteRt.supportsFeature));
  const threads = globalThis.crossOriginIsolated === true && needed.every(Boolean);
  await liteRt.loadLiteRt(RUNTIME.href, { threads });
  return liteRt;
}
