import io
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from i2p_tf import picture_memory, picture_mode, pictures

ORIENTATION, GPS = 0x0112, 0x8825


def encoded(image, file_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def decoded(image, file_format="PNG", **options):
    return np.asarray(pictures.decode(encoded(image, file_format, **options)))


def reason_of(source):
    with pytest.raises(pictures.PictureError) as info:
        pictures.decode(source)
    return str(info.value)


def palette_picture():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    return image


# mode, file format, pixel value -> RGB of every pixel
FLAT_COLOURS = [
    ("RGB", "PNG", (10, 20, 30), (10, 20, 30)),
    ("L", "PNG", 77, (77, 77, 77)),
    ("1", "PNG", 1, (255, 255, 255)),
    ("RGBA", "PNG", (255, 0, 0, 255), (255, 0, 0)),
    ("RGBA", "PNG", (0, 0, 0, 0), (255, 255, 255)),
    ("LA", "PNG", (0, 0), (255, 255, 255)),
    ("LA", "PNG", (90, 255), (90, 90, 90)),
    ("CMYK", "TIFF", (0, 255, 255, 0), (255, 0, 0)),
    ("I;16", "PNG", 32896, (128, 128, 128)),
    ("I;16", "TIFF", 65535, (255, 255, 255)),
    ("I", "TIFF", 32896, (128, 128, 128)),
    ("F", "TIFF", 0.5, (128, 128, 128)),
    ("F", "TIFF", 200.5, (200, 200, 200)),
    ("F", "TIFF", 200.0, (200, 200, 200)),
    ("F", "TIFF", 1.0, (255, 255, 255)),
    ("F", "TIFF", -3.0, (0, 0, 0)),
]


@pytest.mark.parametrize("file_format", pictures.FORMATS)
def test_every_format_is_read(file_format):
    pixels = decoded(Image.new("RGB", (32, 32), (200, 100, 50)), file_format)
    assert pixels.shape == (32, 32, 3)
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 12  # some lose a little


@pytest.mark.parametrize(("mode", "file_format", "value", "expected"), FLAT_COLOURS)
def test_every_mode_becomes_rgb(mode, file_format, value, expected):
    pixels = decoded(Image.new(mode, (5, 3), value), file_format)
    assert pixels.shape == (3, 5, 3) and pixels.dtype == np.uint8
    assert (pixels == expected).all()


def test_palette_and_its_transparent_colour():
    assert (decoded(palette_picture()) == (200, 100, 50)).all()
    assert (decoded(palette_picture(), transparency=1) == 255).all()


def test_cmyk_jpeg():
    pixels = decoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert np.abs(pixels.astype(int) - (255, 0, 0)).max() < 12


def test_16_bit_is_scaled_not_clipped():
    ramp = np.linspace(0, 65535, 256).reshape(16, 16).astype(np.uint16)
    pixels = decoded(Image.fromarray(ramp))
    np.testing.assert_array_equal(pixels[:, :, 0].ravel(), np.arange(256))


def test_values_beyond_16_bits_are_scaled_from_their_own_range():
    values = np.array([[-1000.0, 0.0], [1000.0, np.nan]], np.float32)
    pixels = decoded(Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(pixels[:, :, 0], [[0, 128], [255, 128]])


def test_half_transparent_is_mixed_with_white():
    assert (decoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128))) == 127).all()


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    assert (decoded(frames[0], "GIF", save_all=True, append_images=frames[1:]) == (255, 0, 0)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation):
    upright = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    np.testing.assert_array_equal(decoded(Image.fromarray(stored), exif=exif)[:, :, 0], upright)


def test_metadata_are_dropped():
    exif = Image.Exif()
    exif.get_ifd(GPS)[1] = "N"
    exif[ORIENTATION] = 6
    source = encoded(Image.new("RGB", (6, 4)), "JPEG", exif=exif, comment=b"at home")
    assert dict(Image.open(io.BytesIO(source)).getexif().get_ifd(GPS)) == {1: "N"}
    picture = pictures.decode(source)
    assert not picture.info and not dict(picture.getexif())
    again = encoded(picture, "JPEG")
    assert b"Exif" not in again and b"at home" not in again


def test_sources_give_the_same_picture(tmp_path):
    source = encoded(Image.effect_noise((20, 10), 50).convert("RGB"))
    path = tmp_path / "noise.png"
    path.write_bytes(source)
    results = [np.asarray(pictures.decode(s)) for s in (source, path, str(path), io.BytesIO(source))]
    assert all(np.array_equal(result, results[0]) for result in results)


def test_large_jpeg_is_decoded_smaller_but_never_below_what_is_needed():
    source = encoded(Image.new("RGB", (1600, 800), "red"), "JPEG")
    assert pictures.decode(source).size == (1600, 800)
    assert pictures.decode(source, at_least=32).size == (200, 100)
    assert pictures.decode(source, at_least=300).size == (1600, 800)


def test_what_is_not_a_picture(tmp_path):
    picture = encoded(Image.effect_noise((64, 64), 50))
    assert reason_of(b"") == "0 bytes"
    assert reason_of(b"just some text") == "not a picture of a supported format"
    assert reason_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "not a picture of a supported format"
    assert reason_of(picture[: len(picture) // 2]) == "truncated or damaged"
    assert reason_of(encoded(Image.effect_noise((64, 64), 50), "JPEG")[:-900]) == "truncated or damaged"
    assert reason_of(tmp_path / "missing.png") == "cannot be read: no such file or directory"
    assert reason_of(tmp_path) == "not a regular file"


def noisy_jpegs():
    """JPEG files of several kinds, of pictures whose last pixels differ from grey."""
    generator = np.random.default_rng(0)
    kinds = ({}, {"progressive": True}, {"optimize": True}, {"restart_marker_blocks": 4}, {"subsampling": 0})
    for options in kinds:
        for size in (9, 64, 133):
            pixels = generator.integers(0, 256, (size, size, 3), dtype=np.uint8)
            yield encoded(Image.fromarray(pixels), "JPEG", **options)
    yield encoded(Image.fromarray(generator.integers(0, 256, (40, 40), dtype=np.uint8)), "JPEG")
    yield encoded(Image.fromarray(generator.integers(0, 256, (40, 40, 4), dtype=np.uint8), "CMYK"), "JPEG")


def test_a_jpeg_without_its_end_marker_is_whole():
    for content in noisy_jpegs():
        for at_least in (None, 8):
            whole = np.asarray(pictures.decode(content, at_least))
            for cut in (1, 2):
                np.testing.assert_array_equal(np.asarray(pictures.decode(content[:-cut], at_least)), whole)


def test_a_jpeg_that_lacks_pixels_is_refused():
    for content in noisy_jpegs():
        for lost in (40, len(content) // 4, len(content) // 2, len(content) * 3 // 4):
            with pytest.raises(pictures.PictureError):
                pictures.decode(content[:-lost])


def test_a_progressive_jpeg_that_ends_between_two_scans_is_refused():
    content = encoded(Image.effect_noise((64, 64), 50), "JPEG", progressive=True)
    scans = [match.start() for match in re.finditer(b"\xff\xda", content)]
    assert len(scans) > 3
    assert reason_of(content[: scans[-1]]) == "truncated or damaged"


def test_what_systems_leave_is_hidden():
    hidden = ("._x.jpg", ".DS_Store", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", "lost+found")
    assert all(map(pictures.is_hidden, (*hidden, "Thumbs.db", "thumbs.db", "Desktop.ini")))
    assert not any(map(pictures.is_hidden, ("cat", "x.jpg", "@home", "$", "_")))


def test_named_pipe_does_not_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert reason_of(tmp_path / "pipe.png") == "not a regular file"


def test_no_permission(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(encoded(Image.new("RGB", (2, 2))))
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # root may read everything
        os.seteuid(65534)
    try:
        assert reason_of(path) == "cannot be read: permission denied"
    finally:
        os.seteuid(user)


def png_that_claims(width, height, bits=8, colours=2):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_000, 10_000, 60_000])  # under Pillow's limit, where it warns, where it refuses
def test_decompression_bombs_are_refused_without_a_warning(side):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert reason_of(png_that_claims(side, side)) == "more than 80,000,000 pixels"


# A lossless WebP of one colour, 8,900 x 8,900 pixels.
SMALL_WEBP = bytes.fromhex("524946461a000000574542505650384c0e0000002fc3e2b008071011fd0f4444ff03")


def tiff_that_claims(width, height, bits=8, sample_format=1, tile=None):
    """A compressed TIFF file of a picture in one strip or in tiles of a size."""
    part = [(322, tile), (323, tile), (324, 8), (325, 1)] if tile else [(273, 8), (278, height), (279, 1)]
    entries = [(256, width), (257, height), (258, bits), (259, 5), (262, 1), (277, 1), *part, (339, sample_format)]
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries))
    return struct.pack("<2sHI", b"II", 42, 8) + struct.pack("<H", len(entries)) + fields + bytes(4)


@pytest.mark.parametrize(
    ("source", "megabytes"),
    [
        (SMALL_WEBP, "1,267"),
        (png_that_claims(8_900, 8_900, 16, 0), "475"),
        (png_that_claims(8_900, 8_900, 8, 6), "634"),
        (png_that_claims(8_900, 8_900), "317"),
        (tiff_that_claims(8_900, 8_900, 32, 3), "634"),
        (tiff_that_claims(10, 10, tile=1 << 15), "4,295"),
        (b"P2 8900 8900 255 1", "713"),
    ],
    ids=["webp", "png_16_bits", "png_alpha", "png", "tiff_floats", "tiff_tile", "pgm"],
)
def test_what_takes_more_memory_than_the_budget_is_refused_before_it_takes_it(source, megabytes):
    assert reason_of(source).startswith(f"decoding it takes {megabytes} MB of memory, more than 268; ")


def test_a_jpeg_that_is_decoded_smaller_takes_little_unless_it_has_to_be_kept_whole():
    flat = Image.new("RGB", (1_600, 1_200))

    def needed(**options):
        image = Image.open(io.BytesIO(encoded(flat, "JPEG", **options)))
        image.draft(None, (64, 64))
        return picture_memory.needed(image, pixels, 0)

    pixels, small = 1_600 * 1_200, 4 * 200 * 150
    assert needed() == small
    assert needed(progressive=True) == small + 2 * 1.5 * pixels
    assert needed(progressive=True, subsampling=0) == small + 2 * 3 * pixels


@pytest.mark.parametrize(
    "options",
    [{"lossless": True}, {"quality": 50}, {"save_all": True, "append_images": [Image.new("RGB", (70, 90), "red")]}],
)
def test_the_size_of_a_webp_is_known_before_it_is_opened(options):
    source = encoded(Image.new("RGB", (70, 90)), "WEBP", **options)
    assert picture_memory.webp_pixels(source[:30]) == 70 * 90
    assert picture_memory.webp_pixels(encoded(Image.new("RGB", (70, 90)))[:30]) is None


@pytest.mark.parametrize(("mode", "file_format", "value", "expected"), FLAT_COLOURS)
def test_bands_change_nothing(mode, file_format, value, expected, monkeypatch):
    monkeypatch.setattr(picture_mode, "_BAND_PIXELS", 10)
    test_every_mode_becomes_rgb(mode, file_format, value, expected)
    test_values_beyond_16_bits_are_scaled_from_their_own_range()


def test_decode_square_is_both_in_one():
    source = encoded(Image.effect_noise((70, 90), 50))
    for rule in pictures.RESIZE_RULES:
        both = np.asarray(pictures.resize(pictures.decode(source, at_least=16), 16, rule))
        np.testing.assert_array_equal(pictures.decode_square(source, 16, rule), both)
    with pytest.raises(ValueError, match="zoom"):
        pictures.decode_square(source, 16, "zoom")


def test_all_threads_share_the_budget():
    budget = picture_memory.Budget(100)
    taken, most = [], []

    def work(count):
        with budget.taken(count):
            taken.append(count)
            most.append(sum(taken))
            time.sleep(0.001)
            taken.remove(count)

    threads = [threading.Thread(target=work, args=(count,)) for count in [10, 60, 100, 40, 30] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) <= 100 and len(most) == len(threads)


def test_the_budget_is_whole_again_whatever_happens(monkeypatch):
    budget = picture_memory.Budget(picture_memory.BUDGET)
    monkeypatch.setattr(picture_memory, "budget", budget)
    whole = encoded(Image.effect_noise((64, 64), 50))
    pictures.decode(whole)
    reason_of(whole[:1000])
    with pytest.raises(ValueError):
        pictures.decode_square(whole, 16, "zoom")
    assert budget._left == picture_memory.BUDGET


def test_a_forked_child_decodes_whatever_the_threads_of_its_parent_were_doing():
    source = encoded(Image.new("RGB", (9, 9)))
    with pictures._OPENING, picture_memory.budget.taken(picture_memory.BUDGET):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            try:
                pictures.decode(source)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0


def test_too_little_memory_is_a_reason_of_its_own(tmp_path):
    Image.new("L", (8_000, 4_000)).save(tmp_path / "a.png")
    code = (
        "import pathlib, resource, sys\nfrom i2p_tf import pictures\n"
        "pages = int(pathlib.Path('/proc/self/statm').read_text().split()[0])\n"
        "limit = pages * resource.getpagesize() + (40 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "try: pictures.decode(sys.argv[1])\nexcept pictures.PictureError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code, tmp_path / "a.png"], capture_output=True, text=True)
    assert result.stdout == "there is not enough memory for it\n", result.stderr


def test_libtiff_keeps_quiet(capfd):
    source = encoded(Image.effect_noise((64, 64), 50), "TIFF", compression="tiff_lzw")
    for cut in (200, 1000, 2000):
        assert reason_of(source[:8] + bytes(cut) + source[8 + cut :]) == "truncated or damaged"
    assert reason_of(tiff_that_claims(10, 10)) == "truncated or damaged"
    assert capfd.readouterr() == ("", "")


def test_global_state_stays():
    before = (Image.MAX_IMAGE_PIXELS, list(warnings.filters))
    source, bomb = encoded(Image.new("RGB", (3, 3))), png_that_claims(60_000, 60_000)

    def work():
        for _ in range(20):
            pictures.decode(source)
            reason_of(bomb)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def three_stripes():
    image = Image.new("RGB", (30, 10), "red")
    image.paste("lime", (10, 0, 20, 10))
    image.paste("blue", (20, 0, 30, 10))
    return image


def test_crop_keeps_the_centre():
    for image in (three_stripes(), three_stripes().transpose(Image.Transpose.ROTATE_90)):
        pixels = np.asarray(pictures.resize(image, 10, "crop"))
        assert (pixels == (0, 255, 0)).all()


def test_fit_keeps_everything_on_black():
    pixels = np.asarray(pictures.resize(three_stripes(), 30, "fit"))
    assert pixels.shape == (30, 30, 3)
    assert not pixels[:10].any() and not pixels[20:].any()
    np.testing.assert_array_equal(pixels[10:20], np.asarray(three_stripes()))


def test_stretch_fills_the_square():
    pixels = np.asarray(pictures.resize(three_stripes(), 30, "stretch"))
    np.testing.assert_array_equal(pixels[:, [0, 15, 29]], np.broadcast_to(np.eye(3) * 255, (30, 3, 3)))


@pytest.mark.parametrize("rule", pictures.RESIZE_RULES)
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (37, 53), (32, 32)])
def test_any_size_becomes_square(rule, size):
    assert pictures.resize(Image.new("RGB", size), 32, rule).size == (32, 32)


def test_fine_pattern_is_averaged_not_sampled():
    board = np.indices((64, 64)).sum(0) % 2 * 255
    pixels = np.asarray(pictures.resize(Image.fromarray(board.astype(np.uint8)).convert("RGB"), 16))
    assert np.abs(pixels[2:-2, 2:-2].astype(int) - 127).max() < 8


def test_unknown_rule():
    with pytest.raises(ValueError, match=r"crop, fit, stretch.*'zoom'"):
        pictures.resize(Image.new("RGB", (2, 2)), 2, "zoom")
