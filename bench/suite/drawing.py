# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG, drawn here: axes, lines, and a legend are all that is needed, and the standard
library is enough for that."""

import html
import math

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 400, 80, 20, 40, 60
COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#ff7f0e")


class Axis:
    """Maps values to pixels and chooses ticks. A logarithmic axis takes only values above 0."""

    def __init__(self, values, begin, end, log):
        self.log = log
        self.begin, self.end = begin, end
        low, high = min(values), max(values)
        if log:
            self.low = math.floor(math.log10(low))
            self.high = max(math.ceil(math.log10(high)), self.low + 1)
        else:
            self.low, self.high = 0, high * 1.05 or 1

    def at(self, value):
        place = math.log10(value) if self.log else value
        return self.begin + (place - self.low) / (self.high - self.low) * (self.end - self.begin)

    def ticks(self):
        if self.log:
            return [10.0**power for power in range(self.low, self.high + 1)]
        step = 10 ** math.floor(math.log10(self.high / 4))
        step *= next(m for m in (1, 2, 5, 10) if self.high / (step * m) <= 6)
        return [i * step for i in range(int(self.high / step) + 1)]


def label(value):
    if value >= 1e6:
        return f"{value / 1e6:g}M"
    if value >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:g}"


def frame(title, width, y_title, y):
    """The beginning of a picture: its title, and the y axis with its ticks."""
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{width / 2}" y="20" text-anchor="middle" font-size="15">'
        f"{html.escape(title)}</text>",
        f'<text x="18" y="{HEIGHT / 2}" text-anchor="middle" '
        f'transform="rotate(-90 18 {HEIGHT / 2})">{html.escape(y_title)}</text>',
    ]
    for tick in y.ticks():
        py = y.at(tick)
        out.append(f'<path d="M{LEFT} {py:.1f}H{width - RIGHT}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 8}" y="{py + 4:.1f}" text-anchor="end">{label(tick)}</text>')
    return out


def draw(title, x_title, y_title, series, log_x=False, log_y=False):
    """`series`: name -> list of (x, y)."""
    points = [p for line in series.values() for p in line]
    x = Axis([p[0] for p in points], LEFT, WIDTH - RIGHT, log_x)
    y = Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP, log_y)
    out = frame(title, WIDTH, y_title, y)
    out.append(f'<text x="{WIDTH / 2}" y="{HEIGHT - 15}" text-anchor="middle">'
               f"{html.escape(x_title)}</text>")
    for tick in x.ticks():
        px = x.at(tick)
        out.append(f'<path d="M{px:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>'
                   f'<text x="{px:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
                   f"{label(tick)}</text>")
    for number, (name, line) in enumerate(series.items()):
        color = COLORS[number % len(COLORS)]
        path = "L".join(f"{x.at(a):.1f} {y.at(b):.1f}" for a, b in line)
        out.append(f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        out += [f'<circle cx="{x.at(a):.1f}" cy="{y.at(b):.1f}" r="3" fill="{color}"/>'
                for a, b in line]
        out.append(f'<text x="{LEFT + 12}" y="{TOP + 16 + 16 * number}" fill="{color}">'
                   f"{html.escape(name)}</text>")
    return "\n".join(out + ["</svg>\n"])


def bars(title, y_title, groups):
    """`groups`: name -> {series: value}."""
    names = list(groups)
    series = list(next(iter(groups.values())))
    top = max(v for g in groups.values() for v in g.values()) * 1.05
    width = max(WIDTH, 60 * len(names) + LEFT + RIGHT)
    y = Axis([top], HEIGHT - BOTTOM - 40, TOP, False)
    out = frame(title, width, y_title, y)
    slot = (width - LEFT - RIGHT) / len(names)
    for i, name in enumerate(names):
        for j, one in enumerate(series):
            value = groups[name].get(one, 0)
            px = LEFT + slot * i + slot * (0.15 + 0.7 * j / len(series))
            out.append(f'<rect x="{px:.1f}" y="{y.at(value):.1f}" '
                       f'width="{slot * 0.7 / len(series):.1f}" '
                       f'height="{y.at(0) - y.at(value):.1f}" fill="{COLORS[j]}"/>')
        cx = LEFT + slot * (i + 0.5)
        cy = HEIGHT - BOTTOM - 25
        out.append(f'<text x="{cx:.1f}" y="{cy}" text-anchor="end" '
                   f'transform="rotate(-35 {cx:.1f} {cy})">{html.escape(name)}</text>')
    for j, one in enumerate(series):
        out.append(f'<text x="{LEFT + 12 + 90 * j}" y="{TOP - 4}" fill="{COLORS[j]}">'
                   f"{html.escape(one)}</text>")
    return "\n".join(out + ["</svg>\n"])
