"""Frames of a surveillance camera, drawn: people who walk along a wall, where they are known to be.

.venv/bin/python docs/examples/cameras/draw_frames.py docs/examples/cameras/frames

What a frame shows follows from its number alone, so anybody can draw the same again, or more of them. They are drawings
and no photographs: nobody's picture is taken, and for each frame it is known whom a detector ought to find (`people`).
"""

import math
import random
import sys
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 480, 360
FINER = 3  # drawn so many times as large, so that edges come out smooth
FRAMES = 8
GROUND = 0.62  # where the wall meets the ground, from above
CLOTHES = ((38, 46, 66), (88, 34, 36), (30, 62, 48), (60, 58, 54), (34, 34, 38))
SKIN = ((226, 186, 158), (141, 96, 70), (198, 152, 120))


def people(number):
    """Return who is in a frame: left, top, width, height of each, in points, the one that is farthest first."""
    walking = random.Random(number)
    count = number % 4  # 0: nobody
    places = walking.sample(range(3), count)
    found = []
    for place in sorted(places):
        height = walking.uniform(0.5, 0.68) * HEIGHT
        feet = GROUND * HEIGHT + 0.45 * height
        middle = (place + 0.5 + walking.uniform(-0.12, 0.12)) * WIDTH / 3
        found.append((round(middle - 0.2 * height), round(feet - height), round(0.4 * height), round(height)))
    return sorted(found, key=lambda box: box[3])


def frame(number):
    """Draw one."""
    drawn = wall().resize((WIDTH * FINER, HEIGHT * FINER))
    for index, box in enumerate(people(number)):
        figure(ImageDraw.Draw(drawn), [FINER * side for side in box], random.Random(f"{number} {index}"))
    drawn = drawn.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(0.6))
    random.seed(number)  # of the noise of a sensor
    noise = Image.frombytes("L", drawn.size, random.randbytes(WIDTH * HEIGHT)).point(lambda level: level // 26)
    return ImageChops.add(drawn, Image.merge("RGB", (noise, noise, noise)))


def wall():
    """Return what the camera sees when nobody is there: a wall with a window, and the ground before it."""
    seen = Image.new("RGB", (WIDTH, HEIGHT), (196, 192, 184))
    pen, ground = ImageDraw.Draw(seen), round(GROUND * HEIGHT)
    for row in range(HEIGHT):
        level = 205 - row // 10 if row < ground else 128 + (row - ground) // 3
        pen.line((0, row, WIDTH, row), (level, level - 3, level - 9))
    pen.rectangle((0, ground - 7, WIDTH, ground), (150, 147, 142))
    pen.rectangle((196, 26, 288, 88), (150, 168, 182), (120, 118, 114), 3)
    for column in range(-3, 12):
        pen.line((column * 60 - 60, HEIGHT, column * 42 + 20, ground), (118, 116, 112))
    return seen


def figure(pen, box, looks):
    """Draw somebody who walks, within a box: limbs as thick lines with round ends."""
    left, top, width, height = box
    middle = left + width / 2
    stride, swing = looks.uniform(0.10, 0.17), looks.uniform(-0.05, 0.05)
    coat, trousers = looks.sample(CLOTHES, 2)
    skin = looks.choice(SKIN)

    def at(across, down):
        return middle + across * height, top + down * height

    def limb(colour, thick, *points):
        places = [at(*point) for point in points]
        radius = thick * height / 2
        pen.line(places, colour, round(2 * radius), joint="curve")
        for x, y in places:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    pen.ellipse((*at(-0.24, 0.965), *at(0.24, 1.015)), (104, 102, 98))  # the shadow
    for side in (-1, 1):
        foot = side * stride
        cloth = shade(trousers, 0.8 if side < 0 else 1)
        limb(cloth, 0.095, (side * 0.045, 0.52), (0.6 * foot + 0.02, 0.75), (foot, 0.96))
        limb((24, 22, 22), 0.045, (foot, 0.975), (foot + 0.03, 0.98))
    limb(coat, 0.15, (-0.045, 0.25), (-0.035, 0.5))
    limb(coat, 0.15, (0.045, 0.25), (0.035, 0.5))
    for side in (-1, 1):
        hand = side * 0.15 + swing
        limb(shade(coat, 0.85), 0.06, (side * 0.115, 0.23), (side * 0.145, 0.38), (hand, 0.5))
        limb(skin, 0.045, (hand, 0.525), (hand, 0.53))
    limb(skin, 0.06, (0, 0.15), (0, 0.17))
    pen.ellipse((*at(-0.058, 0.005), *at(0.058, 0.15)), skin)
    pen.pieslice((*at(-0.062, 0), *at(0.062, 0.13)), 170, 370, (40, 30, 26))


def shade(colour, share):
    """Return a colour that is darker."""
    return tuple(math.floor(share * level) for level in colour)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(FRAMES):
        frame(number).save(folder / f"frame-{number}.jpg", quality=75)
