"""The JavaScript module beside the Python client: the same pixels, the same protected pictures, the same refusals."""

import hashlib
import json

import drawn_pictures
import numpy as np
import page_server
import pytest
from chromium import BrowserError
from PIL import Image

import i2p_tf
from i2p_tf import drawing, pictures

FILES = "[...document.querySelector('#file').files]"
# Pixels of an ImageData, opaque, as a list of RGB values.
RGB = "const rgb = (image) => { if (image.data.some((value, i) => i % 4 === 3 && value !== 255)) throw Error('alpha');"
RGB += " return [...image.data].filter((_, i) => i % 4 !== 3); };"


@pytest.fixture
def page(browser, server):
    """A page of a developer's own, on which the module can be imported."""
    server.files["/module.html"] = page_server.MODULE_PAGE
    browser.open(f"{server.url}/module.html")
    return browser


def square(path, rule="crop"):
    return np.asarray(pictures.resize(pictures.decode(path, at_least=32), 32, rule))


@pytest.mark.slow
def test_a_hundred_pictures_of_odd_shapes_and_modes_have_pythons_pixels(page, server, tmp_path):
    paths = drawn_pictures.write(tmp_path, 100)
    page.choose_files("#file", *paths)
    page.run(
        f"""const {{ load }} = await import("/i2p.js");
        const {{ toRgb }} = await import("/pictures.js");
        const transform = await load("/export/manifest.json", {{ variant: "int8" }});
        const plain = [], sent = [];
        for (const file of {FILES}) {{
            plain.push(await transform.prepare(file));
            sent.push(await transform.protect(plain.at(-1)));
        }}
        for (const [name, images] of Object.entries({{ plain, sent }})) {{
            await fetch(`/outputs/${{name}}`, {{ method: "POST", body: new Blob(images.map((i) => toRgb(i).data)) }});
        }}"""
    )
    expected = np.stack([square(path) for path in paths])
    plain, sent = server.outputs("plain", expected.shape), server.outputs("sent", expected.shape)
    assert [path.name for path, *two in zip(paths, plain, expected, strict=True) if not np.array_equal(*two)] == []
    protected = i2p_tf.load_transform(page_server.EXPORT, "int8")(expected)
    assert len(np.unique(protected, axis=0)) >= 4
    assert np.abs(sent.astype(int) - protected).max() <= 1  # the two do not run the same instructions
    assert np.mean(sent == protected) >= 0.999


def test_every_rule_has_pythons_pixels(page, tmp_path):
    paths = drawn_pictures.write(tmp_path, 40, seed=1)
    page.choose_files("#file", *paths)
    script = f"""{RGB} const {{ makeSquare }} = await import("/pictures.js");
        return await Promise.all({FILES}.map(async (file) => rgb(await makeSquare(file, 32, arguments[0]))));"""
    for rule in pictures.RESIZE_RULES:
        made = np.array(page.run(script, rule), np.uint8).reshape(-1, 32, 32, 3)
        assert np.array_equal(made, np.stack([square(path, rule) for path in paths])), rule


def test_pictures_longer_than_a_canvas_have_pythons_pixels(page, tmp_path):
    paths = [tmp_path / "wide.png", tmp_path / "high.png"]
    wide = np.random.default_rng(0).integers(0, 256, (40, 70_000, 3), np.uint8)
    for path, pixels in zip(paths, (wide, wide.transpose(1, 0, 2)), strict=True):
        Image.fromarray(pixels).save(path, compress_level=0)
    page.choose_files("#file", *paths)
    made = page.run(
        f"""{RGB} const {{ makeSquare }} = await import("/pictures.js");
        return await Promise.all({FILES}.map(async (file) => rgb(await makeSquare(file, 32, "stretch"))));"""
    )
    expected = np.stack([square(path, "stretch") for path in paths])
    assert np.array_equal(np.array(made, np.uint8).reshape(expected.shape), expected)


def test_a_photograph_has_pythons_pixels_to_a_level(page, tmp_path):
    # Pillow decodes a large JPEG file at a fraction of its size, which browsers do not.
    generator = np.random.default_rng(0)
    paths = []
    for number, (width, height) in enumerate([(639, 427), (304, 904), (1504, 1496), (152, 128), (90, 77), (64, 200)]):
        exif = Image.Exif()
        exif[0x0112] = 1 + number
        paths.append(tmp_path / f"{number}.jpg")
        drawn_pictures.smooth(width, height, generator).save(paths[-1], quality=90, exif=exif)
    page.choose_files("#file", *paths)
    made = page.run(
        f"""{RGB} const {{ makeSquare }} = await import("/pictures.js");
        return await Promise.all({FILES}.map(async (file) => rgb(await makeSquare(file, 32, "crop"))));"""
    )
    made = np.array(made).reshape(-1, 32, 32, 3)
    difference = np.abs(made - np.stack([square(path) for path in paths]).astype(int))
    assert difference.max() <= 2 and np.mean(difference <= 1) >= 0.999, difference.max(axis=(1, 2, 3))


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_inputs_of_the_right_size_are_protected_as_in_python(page, server, variant):
    images = np.random.default_rng(0).integers(0, 256, (80, 4, 4, 3), np.uint8).repeat(8, 1).repeat(8, 2)
    made = server.protect_in(page, images, variant)
    expected = i2p_tf.load_transform(page_server.EXPORT, variant)(images)
    assert len(np.unique(expected, axis=0)) >= 4
    assert np.mean(made == expected) >= 0.999
    assert np.abs(made.astype(int) - expected).max() <= 1  # the same word each time


def test_pictures_that_are_protected_at_once_do_not_mix(page):
    same = page.run(
        """const { load } = await import("/i2p.js");
        const transform = await load("/export/manifest.json");
        const pictures = Array.from({ length: 20 }, (_, number) => {
            const picture = new ImageData(32, 32);
            picture.data.forEach((_, i) => (picture.data[i] = i % 4 === 3 ? 255 : (number * (40 + (i >> 9))) % 256));
            return picture;
        });
        const together = await Promise.all(pictures.map((picture) => transform.protect(picture)));
        const alone = [];
        for (const picture of pictures) alone.push(await transform.protect(picture));
        const different = new Set(alone.map((image) => image.data.join())).size;
        return [different, together.every((image, i) => image.data.join() === alone[i].data.join())];"""
    )
    assert same[0] >= 2 and same[1]


def test_only_what_the_transform_has_made_is_sent(page, server):
    message = page.run(
        """const { load, Classifier } = await import("/i2p.js");
        const classifier = new Classifier(location.origin, await load("/export/manifest.json"));
        return await classifier.classify(new ImageData(32, 32)).catch((error) => `${error.name}: ${error.message}`);"""
    )
    assert message.startswith("TypeError: `image` must be what `protect`")
    assert not [path for _, path, _ in server.received if path.startswith("/v1/")]
    page.run(
        """const { load, Classifier } = await import("/i2p.js");
        const transform = await load("/export/manifest.json");
        const image = await transform.protect(new ImageData(32, 32));
        image.data.fill(200); // something else, as by a mistake
        await new Classifier(location.origin, transform).classify(image);"""
    )
    (sent,) = server.pictures()
    assert len(np.unique(sent)) > 100


def test_a_version_that_was_swapped_is_compared_before_anything_is_sent_to_it(page, server):
    script = """const { load, Classifier } = await import("/i2p.js");
        const transform = await load("/export/manifest.json");
        window.classifier = new Classifier(location.origin, transform);
        window.sent = await transform.protect(new ImageData(40, 30));"""
    page.run(script)
    classify = "return (await classifier.classify(sent)).labels.length"
    assert page.run(classify) == 10 and len(server.pictures()) == 1
    server.version = 2
    assert page.run(classify) == 10 and len(server.pictures(2)) == 1
    server.version, server.run_id = 3, "0123456789abcdef"
    with pytest.raises(BrowserError, match="wrong server: .*0123456789abcdef.*Nothing was sent"):
        page.run(classify)
    assert server.pictures(3) == []


def test_a_busy_server_is_asked_again_and_one_that_refuses_is_not(page, server):
    page.run(
        """const { load, Classifier } = await import("/i2p.js");
        const transform = await load("/export/manifest.json");
        window.sent = await transform.protect(new ImageData(40, 30));
        window.ask = () => new Classifier(location.origin, transform).classify(sent);"""
    )
    server.failures = [(503, b'{"error": "overloaded"}')] * 2
    assert page.run("return (await ask()).labels[0].name") == "airplane"
    server.failures = [(400, b'{"error": "no such\\nsignature"}')]
    with pytest.raises(BrowserError, match="says: no such signature.*status 400"):
        page.run("await ask()")
    server.failures = [(200, b"<html>")]
    with pytest.raises(BrowserError, match="not as TF Serving does"):
        page.run("await ask()")
    server.failures = [(200, b'{"model_spec": 3}')]
    with pytest.raises(BrowserError, match="without the metadata"):
        page.run("await ask()")


def test_a_server_of_another_origin_that_does_not_allow_the_page(page):
    with page_server.PageServer().running() as other:
        with pytest.raises(BrowserError, match=f"{other.url} cannot be reached.*does it allow pages of other origins"):
            page.run(
                """const { load, Classifier } = await import("/i2p.js");
                const transform = await load("/export/manifest.json");
                const sent = await transform.protect(new ImageData(40, 30));
                await new Classifier(arguments[0], transform).classify(sent);""",
                other.url,
            )
        assert other.pictures() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "has format 2; this page reads format 1"),
        ({"run_id": None}, "damaged, or not one that bin/export has written"),
        ({"variants": {}}, "has no variant to run here; it has: none"),
        ({"files": {}}, "SHA-256 of transform_int8.tflite is not that"),
    ],
)
def test_manifests_that_cannot_be_used(page, server, change, message):
    server.files["/export/manifest.json"] = json.dumps(server.manifest | change).encode()
    with pytest.raises(BrowserError, match=message):
        page.run('const { load } = await import("/i2p.js"); await load("/export/manifest.json")')


def test_a_manifest_of_an_earlier_version_says_by_its_network_that_it_is_a_codebook(page, server):
    script = 'const { load } = await import("/i2p.js"); return (await load("/export/manifest.json")).codewords'
    earlier = {name: value for name, value in server.manifest.items() if name != "codewords"}
    for networks, expected in (({"transform": "codebook_small"}, 10), ({"transform": "paper"}, None)):
        server.files["/export/manifest.json"] = json.dumps(earlier | {"networks": networks}).encode()
        assert page.run(script) == expected


def test_hashes_and_png_files(page):
    contents = [bytes(range(256)) * 3, *(b"x" * length for length in (0, 1, 55, 56, 63, 64, 65, 119, 120))]
    script = 'const { sha256 } = await import("/sha256.js"); return arguments[0].map((x) => sha256(Uint8Array.from(x)))'
    expected = [hashlib.sha256(content).hexdigest() for content in contents]
    assert page.run(script, [list(content) for content in contents]) == expected


@pytest.mark.parametrize("bits", [8, 64, 512])
def test_a_code_is_cut_as_python_cuts_it(page, bits):
    code = np.random.default_rng(0).integers(0, 4, (1, drawing.ELEMENTS))
    whole = drawing.draw(code, 32)
    script = """const { cut } = await import("/code.js");
        const pixels = Uint8Array.from(arguments[0]); cut(pixels, 32, arguments[1]); return [...pixels];"""
    cut = page.run(script, whole.ravel().tolist(), bits)
    np.testing.assert_array_equal(np.reshape(cut, whole.shape), drawing.cut(whole, bits))


def test_what_is_no_drawing_is_not_cut(page):
    script = 'const { cut } = await import("/code.js"); cut(Uint8Array.from(arguments[0]), 32, 64);'
    pixels = drawing.draw(np.zeros((1, drawing.ELEMENTS), int), 32)
    pixels[0, 5, 5, 1] = 3
    with pytest.raises(BrowserError, match="no drawing of a code"):
        page.run(script, pixels.ravel().tolist())
