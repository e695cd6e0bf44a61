"""Two panels over bits: what is classified, and what leaks."""

import math

from PIL import Image, ImageDraw, ImageFont

WIDTH, HEIGHT = 1500, 640  # of both panels
LEFT, RIGHT, TOP, BOTTOM = 100, 30, 110, 80  # margins of a panel
INK, FAINT, MEASURED = (30, 30, 30), (215, 215, 215), (0, 90, 181)
LINES = ((220, 50, 32), (64, 145, 80))  # what it is compared with
TEXT, TITLE = 20, 26
TICKS = 5


def draw(rows: list[dict]) -> Image.Image:
    """Draws a trade-off.

    Args:
        rows: as `curve.curve` or `average.average` gives them, in the order of their bits.

    Returns:
        A `PIL.Image.Image`.
    """
    image = Image.new("RGB", (WIDTH, HEIGHT), "white")
    first = rows[0]
    several = f", {len(first['seeds'])} seeds" if len(first["seeds"]) > 1 else ""
    title = f"Accuracy: {first['dataset']}, {first['classifier']}, n = {first['n']:,}{several}"
    accuracy = _Panel(image, 0, title, "sent code", rows, "protected")
    accuracy.draw({"classifier, plain pictures": _same(rows, "plain"), "device alone": _same(rows, "device_only")})
    leak = _Panel(image, WIDTH // 2, "Mean SSIM of what is reconstructed", "strongest attack", rows, "strongest_ssim")
    leak.draw({"class alone": _same(rows, "class_alone_ssim"), "ceiling": [row["ceiling_ssim"] for row in rows]})
    return image


class _Panel:
    """One half of the picture: the row's `key` over the logarithm of the bits."""

    def __init__(self, image, x, title, label, rows, key):
        self.pen, self.x, self.title, self.label, self.rows, self.key = (
            ImageDraw.Draw(image),
            x,
            title,
            label,
            rows,
            key,
        )
        self.bits = [row["bits"] for row in rows]

    def draw(self, others):
        """With `others`, lists of values or None, by label."""
        values = [row[self.key] for row in self.rows]
        curves = {self.label: values} | others
        known = [value for curve in curves.values() for value in curve if value is not None]
        known += [end for row in self.rows for end in row.get("range", {}).get(self.key, [])]
        step = _step(max(known) - min(known))
        self.low = step * math.floor(min(known) / step)
        self.high = max(step * math.ceil(max(known) / step), self.low + step)
        self._frame(step)
        for colour, (label, curve) in zip((MEASURED, *LINES), curves.items(), strict=True):
            self._curve(curve, colour, marked=label == self.label)
        self._legend(zip((MEASURED, *LINES), curves, strict=True))

    def _frame(self, step):
        self._text((self.x + LEFT, 20), self.title, TITLE, anchor="la")
        for index in range(round((self.high - self.low) / step) + 1):
            value = self.low + index * step
            y = self._y(value)
            self.pen.line([(self.x + LEFT, y), (self.x + WIDTH // 2 - RIGHT, y)], FAINT, 1)
            self._text((self.x + LEFT - 12, y), f"{value:.3f}".rstrip("0").rstrip("."), TEXT, anchor="rm")
        for bits in self.bits:
            self._text((self._place(bits), HEIGHT - BOTTOM + 12), str(bits), TEXT, anchor="ma")
        self._text((self.x + (LEFT + WIDTH // 2 - RIGHT) // 2, HEIGHT - 12), "bits", TEXT, anchor="md")

    def _curve(self, values, colour, marked):
        if None in values:
            return
        points = [(self._place(bits), self._y(value)) for bits, value in zip(self.bits, values, strict=True)]
        if len(points) == 1 and not marked:  # a line all the same
            points = [(self.x + LEFT, points[0][1]), (self.x + WIDTH // 2 - RIGHT, points[0][1])]
        self.pen.line(points, colour, 4 if marked else 3)
        if not marked:
            return
        for (x, y), row in zip(points, self.rows, strict=True):
            self.pen.ellipse([(x - 7, y - 7), (x + 7, y + 7)], colour)
            if spread := row.get("range", {}).get(self.key):
                self.pen.line([(x, self._y(spread[0])), (x, self._y(spread[1]))], colour, 2)

    def _legend(self, entries):
        x = self.x + LEFT
        for colour, label in entries:
            self.pen.line([(x, 76), (x + 36, 76)], colour, 5)
            self._text((x + 44, 76), label, TEXT, anchor="lm")
            x += 44 + self.pen.textlength(label, _font(TEXT)) + 36

    def _text(self, place, text, size, anchor):
        self.pen.text(place, text, INK, _font(size), anchor=anchor)

    def _place(self, bits):
        """Where a number of bits stands."""
        first, last = math.log2(self.bits[0]), math.log2(self.bits[-1])
        share = (math.log2(bits) - first) / (last - first) if last > first else 0.5
        start, end = self.x + LEFT + 30, self.x + WIDTH // 2 - RIGHT - 30
        return start + share * (end - start)

    def _y(self, value):
        return HEIGHT - BOTTOM - (value - self.low) / (self.high - self.low) * (HEIGHT - BOTTOM - TOP)


def _same(rows, key):
    return [row[key] for row in rows]


def _step(span):
    """A distance of ticks: 1, 2 or 5 times a power of 10, of which about `TICKS` make the span."""
    wanted = max(span, 1e-3) / TICKS
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= wanted)


def _font(size):
    return ImageFont.load_default(size)
