/** The page: a picture is chosen, protected here, sent, and what comes back is shown. */

import { BITS, Classifier, load } from "./i2p.js";

const TOP = 5;
const SERVER = location.origin;

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

let network; // promise of the transform and of the classifier that belongs to it
let shown; // the picture that is shown now
let turn = 0; // counts the pictures: a newer one ends what is shown of an older one

function connect() {
  network ??= load("export/manifest.json")
    .then((transform) => {
      describe(transform);
      return { transform, classifier: new Classifier(SERVER, transform) };
    })
    .catch((error) => {
      network = undefined; // the next picture tries again
      throw error;
    });
  return network;
}

/** Says who sees what, of this transform. */
function describe({ name, variant, imageSize, codewords, bits }) {
  element("who").textContent =
    codewords === null
      ? "The server sees the protected picture, from which a part of yours may be reconstructed, when, and from " +
        "which address."
      : `What is sent is one of ${codewords} fixed pictures, one for each class, so the server learns the class, ` +
        "when, and from which address, and nothing else of your picture.";
  element("confidence").hidden = codewords === null;
  element("confidence").textContent =
    `The percentages say nothing about how sure the answer is: each of the ${codewords} pictures that can be sent ` +
    "always gets the same ones.";
  element("choose-bits").hidden = bits === null;
  element("bits").max = BITS.length - 1;
  element("bits").value = BITS.indexOf(bits);
  element("bits-chosen").textContent = `${bits} bits`;
  element("about").textContent = `Model ${name}, ${variant}, ${imageSize} × ${imageSize} pixels.`;
}

/** @param {Blob | ImageData} picture */
async function show(picture) {
  shown = picture;
  const mine = ++turn;
  const isCurrent = () => mine === turn;
  tell("Protecting …");
  for (const id of ["result", "costs", "error"]) element(id).hidden = true;
  try {
    const { transform, classifier } = await connect();
    const plain = await transform.prepare(picture);
    const started = performance.now();
    const sent = await transform.protect(plain);
    const device = performance.now() - started;
    if (!isCurrent()) return;
    paint("plain", plain);
    paint("sent", sent);
    element("classes").replaceChildren();
    element("result").hidden = false;
    tell("Asking the server …");
    const answer = await classifier.classify(sent);
    if (!isCurrent()) return;
    list(answer.labels);
    element("bytes").textContent = `${answer.bytes.toLocaleString("en")} bytes`;
    element("device").textContent = milliseconds(device);
    element("server").textContent = milliseconds(answer.milliseconds);
    element("costs").hidden = false;
    tell(`The answer: ${answer.labels[0].name}.`);
  } catch (error) {
    if (isCurrent()) fail(error);
  }
}

function paint(id, image) {
  const canvas = element(id);
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function list(labels) {
  const items = labels.slice(0, TOP).map(({ name, probability }) => {
    const item = document.createElement("li");
    const [word, bar, value] = ["span", "span", "span"].map((tag) => document.createElement(tag));
    word.textContent = name;
    bar.className = "bar";
    bar.style.setProperty("--share", probability);
    bar.ariaHidden = "true";
    value.textContent = percent.format(probability);
    value.className = "value";
    item.append(word, value, bar);
    return item;
  });
  element("classes").replaceChildren(...items);
}

function milliseconds(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

function tell(text) {
  element("status").textContent = text;
}

function fail(error) {
  console.error(error);
  tell("");
  element("error").textContent = error.message;
  element("error").hidden = false;
}

function acceptDrops() {
  const isFile = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    element("choose").classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) element("choose").classList.remove("over");
  });
  addEventListener("drop", (event) => {
    element("choose").classList.remove("over");
    if (!isFile(event)) return;
    event.preventDefault();
    if (event.dataTransfer.files.length) show(event.dataTransfer.files[0]);
  });
}

function acceptFiles() {
  const input = element("file");
  input.addEventListener("change", () => {
    if (input.files.length) show(input.files[0]);
    input.value = ""; // the same file may be chosen again
  });
}

function acceptBits() {
  const slider = element("bits");
  slider.addEventListener("input", () => (element("bits-chosen").textContent = `${BITS[slider.value]} bits`));
  slider.addEventListener("change", async () => {
    const { transform } = await connect();
    transform.bits = BITS[slider.value];
    if (shown) show(shown);
  });
}

function acceptCamera() {
  const [view, video] = [element("camera-view"), element("video")];
  // Browsers have it on HTTPS and on this computer; elsewhere a phone offers its camera where files are chosen.
  element("camera").hidden = !navigator.mediaDevices?.getUserMedia;
  element("camera").addEventListener("click", async () => {
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch (error) {
      return fail(new Error("The camera cannot be used: there is none, or it was not allowed.", { cause: error }));
    }
    view.showModal();
    await video.play();
  });
  element("shoot").addEventListener("click", () => {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(video, 0, 0);
    show(context.getImageData(0, 0, canvas.width, canvas.height));
    view.close();
  });
  element("close-camera").addEventListener("click", () => view.close());
  view.addEventListener("close", () => video.srcObject?.getTracks().forEach((track) => track.stop()));
}

acceptDrops();
acceptFiles();
acceptBits();
acceptCamera();
connect().then(() => turn === 0 && tell(""), (error) => turn === 0 && fail(error));
