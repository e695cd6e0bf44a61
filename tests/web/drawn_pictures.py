"""Pictures of odd shapes and modes, drawn from a seed."""

import numpy as np
from PIL import Image

MODES = ("RGB", "RGBA", "L", "LA", "1", "P", "P with transparency", "RGB turned")
_SHAPES = ((1, 1), (32, 32), (33, 31), (2, 500), (500, 2), (64, 64), (1000, 37), (32, 33))


def write(folder, count, seed=0):
    """Writes PNG files of all `MODES`, of 1 to 1,000 pixels a side; returns their paths."""
    generator = np.random.default_rng(seed)
    paths = []
    for number in range(count):
        shape = (
            _SHAPES[number]
            if number < len(_SHAPES)
            else tuple(np.int64(np.exp2(generator.uniform(0, 9.5, 2))).tolist())
        )
        mode = MODES[number % len(MODES)]
        path = folder / f"{number:03}_{mode.replace(' ', '_')}_{shape[0]}x{shape[1]}.png"
        image, options = _draw(mode, shape, generator)
        image.save(path, **options)
        paths.append(path)
    return paths


def smooth(width, height, generator):
    """Colours that change slowly, as in a photograph: an RGB image."""
    return _noise((width, height), 3, 64, generator, Image.Resampling.BICUBIC)


def _draw(mode, shape, generator):
    coarse = int(generator.choice([1, 4, 16]))
    if mode in ("RGBA", "LA"):
        image = _noise(shape, 4, coarse, generator)
        return image.convert(mode), {}
    image = _noise(shape, 3, coarse, generator)
    if mode == "RGB turned":
        exif = Image.Exif()
        exif[0x0112] = int(generator.integers(1, 9))
        return image, {"exif": exif}
    if mode == "P with transparency":
        return image.quantize(16), {"transparency": int(generator.integers(16))}
    return (image.quantize(40) if mode == "P" else image.convert(mode)), {}


def _noise(shape, channels, coarse, generator, resample=Image.Resampling.NEAREST):
    cells = [max(1, side // coarse) for side in reversed(shape)]
    return Image.fromarray(generator.integers(0, 256, (*cells, channels), dtype=np.uint8)).resize(shape, resample)
