"""Physics of simulated pushing: a table, an arm whose hand pushes objects (MuJoCo).

Lengths are metres, x to the right, y away from the camera, z up; the table is z = 0.
Clip i depends on seed, split and i alone. Its random numbers are integers; all else
follows from operations that every machine rounds alike, but for MuJoCo's sines of an
object's turn in a step, so small that all variants of glibc's agree. Contacts amplify a
last bit: where a compiler fuses multiplication and addition (ARM), clips differ. After
each frame the state is rounded and the solver forgets: nothing else is carried on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import mujoco
import numpy as np

Point = tuple[float, float]
Vector = tuple[float, float, float]

STEP = 0.05
"""Longest motion of the hand in a frame: an action of length 1."""
SUBSTEPS, TIMESTEP = 20, 0.005
"""Steps of physics in a frame of 0.1 s."""
LOW, HIGH = (-0.46, -0.38), (0.46, 0.24)
"""Corners of the hand's part of the table, which the reach of the arm cuts."""
NEAR, FAR = (-0.42, -0.32), (0.42, 0.26)
"""Corners of the objects' part at the start."""
OBJECTS_APART, HAND_APART = 0.25, 0.17
"""Least distances at the start: of two objects, of an object and the hand."""
SHOULDER: Vector = (0.0, 0.56, 0.12)
UPPER, FORE, WRIST = 0.43, 0.43, 0.15
"""Lengths of the arm's two links, height of its end."""
REACH = 0.85
"""Largest distance of the hand from the shoulder, on the table."""
FINGER = 0.08
"""Height of the finger's centre."""
STATE_GRID, HAND_GRID = 2.0**20, 2.0**16
"""Steps per unit of the rounded state (metre, second), and of the hand's place."""
LONGEST = STEP - 2 / HAND_GRID
"""Longest motion before it is rounded; afterwards it is at most `STEP`."""
CLOSE = 0.03
"""Distance from its goal at which the hand takes another one."""

COLOURS = {
    "red": (0.86, 0.14, 0.12),
    "green": (0.13, 0.58, 0.25),
    "yellow": (0.97, 0.8, 0.1),
    "blue": (0.15, 0.33, 0.85),
    "violet": (0.6, 0.22, 0.68),
}
NOVEL_COLOURS = {
    "cyan": (0.1, 0.72, 0.78),
    "pink": (0.98, 0.5, 0.68),
    "lime": (0.6, 0.86, 0.16),
    "cream": (0.97, 0.93, 0.78),
}
"""Colours of `test-novel` alone."""


class Shape(NamedTuple):
    """Object on the table, from the primitives of MuJoCo."""

    height: float
    """Height of its origin above the table."""
    geoms: tuple[str, ...]
    """Attributes of each part: type, size, place in the object, mass in kg."""


SHAPES = {
    "box": Shape(0.06, ('type="box" size=".066 .066 .06" mass=".2"',)),
    "ball": Shape(0.07, ('type="sphere" size=".07" mass=".15"',)),
    "cylinder": Shape(0.052, ('type="cylinder" size=".074 .052" mass=".2"',)),
    "bar": Shape(0.048, ('type="box" size=".115 .042 .048" mass=".2"',)),
}
NOVEL_SHAPES = {
    "cross": Shape(
        0.045,
        (
            'type="box" size=".105 .035 .045" mass=".12"',
            'type="box" size=".035 .105 .045" mass=".12"',
        ),
    ),
    "corner": Shape(
        0.045,
        (
            'type="box" size=".085 .0325 .045" pos="0 -.0525 0" mass=".12"',
            'type="box" size=".0325 .0525 .045" pos="-.0525 .0325 0" mass=".08"',
        ),
    ),
    "knob": Shape(
        0.035,
        (
            'type="cylinder" size=".085 .035" mass=".18"',
            'type="cylinder" size=".045 .04" pos="0 0 .075" mass=".04"',
        ),
    ),
    "pill": Shape(0.052, ('type="capsule" size=".052 .062" zaxis="1 0 0" mass=".2"',)),
}
"""Shapes of `test-novel` alone."""

WORLD = """<mujoco>
<option timestep="{timestep}" integrator="implicitfast" cone="elliptic"/>
<default>
  <geom condim="6" friction=".7 .02 .004"/>
  <default class="arm"><geom contype="0" conaffinity="0"/></default>
</default>
<worldbody>
<geom name="table" type="plane" size="1 1 .1"/>
<geom class="arm" type="cylinder" size=".1 .05" pos="0 .56 .05" rgba=".3 .32 .36 1"/>
<geom class="arm" type="sphere" size=".065" pos="0 .56 .12" rgba=".95 .5 .1 1"/>
<body name="upper" mocap="true">
  <geom class="arm" type="capsule" fromto="0 0 0 0 0 {upper}" size=".042"
    rgba=".9 .9 .92 1"/>
  <geom class="arm" type="sphere" size=".055" pos="0 0 {upper}" rgba=".95 .5 .1 1"/>
</body>
<body name="fore" mocap="true">
  <geom class="arm" type="capsule" fromto="0 0 0 0 0 {fore}" size=".036"
    rgba=".9 .9 .92 1"/>
</body>
<body name="hand" mocap="true">
  <geom type="cylinder" size=".04 .065" rgba=".18 .18 .2 1"/>
</body>
{objects}
</worldbody>
</mujoco>"""
UPPER_BODY, FORE_BODY, HAND_BODY = range(3)
"""Rows of the arm's bodies in `mocap_pos`."""


class Dice:
    """Random numbers by integers of Philox alone, the same in every NumPy."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._raw = rng.bit_generator.random_raw

    def below(self, count: int) -> int:
        """Draw 0 … count − 1."""
        return int(self._raw()) % count

    def between(self, low: float, high: float) -> float:
        """Draw a number on a grid of 2²⁰ steps."""
        return low + (high - low) * (self.below(1 << 20) / (1 << 20))

    def within(self, low: Point, high: Point) -> Point:
        """Draw a point of a rectangle."""
        return self.between(low[0], high[0]), self.between(low[1], high[1])

    def noise(self, deviation: float) -> float:
        """Draw from a sum of three uniform numbers, nearly normal."""
        return 2 * deviation * sum(self.between(-0.5, 0.5) for _ in range(3))

    def turn(self) -> Point:
        """Draw a point of the unit circle."""
        while True:
            x, y = self.within((-1.0, -1.0), (1.0, 1.0))
            if 0.01 < (square := x * x + y * y) <= 1:
                return x / sqrt(square), y / sqrt(square)

    def some(self, among: dict[str, Any], count: int) -> list[str]:
        """Draw different names, in random order."""
        left = list(among)
        return [left.pop(self.below(len(left))) for _ in range(count)]


@dataclass(frozen=True)
class Thing:
    """Object at the start of a clip."""

    shape: str
    colour: str
    place: Point
    turn: Point
    """Cosine and sine of half of its angle."""

    def xml(self) -> str:
        """Body of MuJoCo's model."""
        height, geoms = (SHAPES | NOVEL_SHAPES)[self.shape]
        (x, y), (cosine, sine) = self.place, self.turn
        red, green, blue = (COLOURS | NOVEL_COLOURS)[self.colour]
        rgba = f'rgba="{red} {green} {blue} 1"'
        parts = "".join(f"<geom {geom} {rgba}/>" for geom in geoms)
        where = f'pos="{x!r} {y!r} {height}" quat="{cosine!r} 0 0 {sine!r}"'
        return f"<body {where}><freejoint/>{parts}</body>"


def things(dice: Dice, novel: bool) -> list[Thing]:
    """Draw two to four objects, of different colours and apart from each other."""
    shapes = list(NOVEL_SHAPES if novel else SHAPES)
    colours = NOVEL_COLOURS if novel else COLOURS
    count = 2 + dice.below(3)
    places = list[Point]()
    while len(places) < count:
        place = dice.within(NEAR, FAR)
        if all(distance(place, other) > OBJECTS_APART for other in places):
            places.append(place)
    return [
        Thing(shapes[dice.below(len(shapes))], colour, place, dice.turn())
        for place, colour in zip(places, dice.some(colours, count), strict=True)
    ]


class Scene:
    """Objects, the hand and the arm, as MuJoCo's model and state."""

    def __init__(self, objects: list[Thing], hand: Point) -> None:
        xml = WORLD.format(
            timestep=TIMESTEP,
            upper=UPPER,
            fore=FORE,
            objects="".join(each.xml() for each in objects),
        )
        self.model: Any = mujoco.MjModel.from_xml_string(xml)
        self.state: Any = mujoco.MjData(self.model)
        self.hand = hand
        self._settle()

    def place_of(self, thing: int) -> Point:
        """Place of an object on the table."""
        x, y = self.state.qpos[7 * thing :][:2].tolist()
        return x, y

    def move(self, to: Point) -> None:
        """Move the hand evenly during one frame, and whatever it pushes."""
        (x, y), (right, away) = self.hand, to
        for step in range(1, SUBSTEPS + 1):
            share = step / SUBSTEPS
            here = (x + (right - x) * share, y + (away - y) * share, FINGER)
            self.state.mocap_pos[HAND_BODY] = here
            mujoco.mj_step(self.model, self.state)
        self.hand = to
        self._settle()

    def _settle(self) -> None:
        """Round the state, and bring the arm and all geometry to it."""
        state = self.state
        for values in (state.qpos, state.qvel):
            values[:] = np.rint(values * STATE_GRID) / STATE_GRID
        state.qacc_warmstart[:] = 0
        state.mocap_pos[HAND_BODY] = (*self.hand, FINGER)
        wrist = (*self.hand, WRIST)
        elbow = elbow_of(wrist)
        for body, start, end in (
            (UPPER_BODY, SHOULDER, elbow),
            (FORE_BODY, wrist, elbow),
        ):
            state.mocap_pos[body] = start
            state.mocap_quat[body] = upright_to(start, end)
        mujoco.mj_kinematics(self.model, state)


def distance(a: Point, b: Point) -> float:
    """Distance of two points on the table."""
    x, y = a[0] - b[0], a[1] - b[1]
    return sqrt(x * x + y * y)


def elbow_of(wrist: Vector) -> Vector:
    """Elbow above the line from the shoulder to the wrist."""
    x, y, up = (w - s for w, s in zip(wrist, SHOULDER, strict=True))
    out = sqrt(x * x + y * y)
    length = sqrt(out * out + up * up)
    along = (UPPER * UPPER - FORE * FORE + length * length) / (2 * length)
    above = sqrt(max(0.0, UPPER * UPPER - along * along))
    outward = (along * out - above * up) / length
    upward = (along * up + above * out) / length
    return (
        SHOULDER[0] + outward * x / out,
        SHOULDER[1] + outward * y / out,
        SHOULDER[2] + upward,
    )


def upright_to(start: Vector, end: Vector) -> tuple[float, float, float, float]:
    """Quaternion that turns the z axis to the direction of a link."""
    x, y, z = (e - s for e, s in zip(end, start, strict=True))
    real = sqrt(x * x + y * y + z * z) + z
    size = sqrt(real * real + x * x + y * y)
    return real / size, -y / size, x / size, 0.0


def reachable(place: Point) -> Point:
    """Nearest place of the hand: in its rectangle, and within the arm's reach."""
    x, y = (
        min(max(p, low), high) for p, low, high in zip(place, LOW, HIGH, strict=True)
    )
    x, y = x - SHOULDER[0], y - SHOULDER[1]
    share = min(1.0, REACH / sqrt(x * x + y * y))
    x, y = SHOULDER[0] + x * share, SHOULDER[1] + y * share
    return round(x * HAND_GRID) / HAND_GRID, round(y * HAND_GRID) / HAND_GRID


def at_most(vector: Point, longest: float) -> Point:
    """Shorten a vector to a length."""
    x, y = vector
    share = min(1.0, longest / (sqrt(x * x + y * y) + 1e-9))
    return x * share, y * share


class Driver:
    """Moves the hand like a person at play: mostly to push through some object."""

    def __init__(self, dice: Dice, scene: Scene, count: int) -> None:
        self._dice, self._scene, self._count = dice, scene, count
        self._goal, self._frames_left = scene.hand, 0
        self._velocity: Point = (0.0, 0.0)

    def next_place(self) -> Point:
        """Choose where the hand goes in this frame."""
        dice, hand = self._dice, self._scene.hand
        if self._frames_left <= 0:
            self._goal, self._frames_left = self._new_goal(), 6 + dice.below(6)
        self._frames_left -= 1
        goal, (right, away) = self._goal, self._velocity
        x, y = at_most((goal[0] - hand[0], goal[1] - hand[1]), LONGEST)
        wish = (
            0.5 * right + 0.5 * x + dice.noise(0.003),
            0.5 * away + 0.5 * y + dice.noise(0.003),
        )
        x, y = at_most(wish, LONGEST)
        place = reachable((hand[0] + x, hand[1] + y))
        if distance(goal, hand) < CLOSE:
            self._frames_left = 0
        self._velocity = place[0] - hand[0], place[1] - hand[1]
        return place

    def _new_goal(self) -> Point:
        dice, hand = self._dice, self._scene.hand
        if dice.below(4) == 0:
            return reachable(dice.within(LOW, HIGH))
        x, y = self._scene.place_of(dice.below(self._count))
        away = distance((x, y), hand) + 1e-6
        return reachable(
            (
                x + (x - hand[0]) / away * 0.18 + dice.noise(0.03),
                y + (y - hand[1]) / away * 0.18 + dice.noise(0.03),
            )
        )


class Moment(NamedTuple):
    """One frame: the scene, and the command that leads to the next frame."""

    scene: Scene
    action: Point


def play(rng: np.random.Generator, novel: bool, frames: int) -> Iterator[Moment]:
    """Yield the frames of a clip; the scene changes after each of them."""
    dice = Dice(rng)
    objects = things(dice, novel)
    while True:
        hand = reachable(dice.within(LOW, HIGH))
        if all(distance(hand, each.place) > HAND_APART for each in objects):
            break
    scene = Scene(objects, hand)
    driver = Driver(dice, scene, len(objects))
    for _ in range(frames):
        hand, to = scene.hand, driver.next_place()
        yield Moment(scene, ((to[0] - hand[0]) / STEP, (to[1] - hand[1]) / STEP))
        scene.move(to)
