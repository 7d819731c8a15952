"""Pictures of simulated pushing by MuJoCo's ray casting: no OpenGL, no display.

A ray through each pixel gives the geometry that is seen there, and its normal; a second
one from the light gives shadows. The table never moves: its colours, in light and in
shadow, are computed once. The light is far away and has few levels, and each plank has
one colour, so that small models spend their bits on what moves.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8

EYE = np.array([0.0, -0.78, 1.2])
LOOKED_AT = np.array([0.0, 0.09, 0.02])
OPENING = 0.45
"""Half of the picture's width, at distance 1."""
LIGHT = np.array([-7.0, -5.0, 19.0])
FROM_ABOVE = LIGHT[2] / np.sqrt(LIGHT @ LIGHT)
"""Cosine between the light and the table's normal."""
AMBIENT, DIFFUSE = 0.52, 0.52
"""Shares of light; only the first one reaches shadows."""
LEVELS = 3
"""Levels of diffuse light."""
TOLERANCE = 0.004
"""Distance by which a ray of light may miss a point of a surface that it meets."""
FARTHEST = 40.0
WOOD, FLOOR, SKY = (0.77, 0.58, 0.385), (0.36, 0.38, 0.42), (0.6, 0.66, 0.72)
TABLE_SIDE, TABLE_BACK, TABLE_FRONT = 0.72, 0.74, -0.62
FLOOR_SIDE = 1.0
"""Half of the floor's width and length; the sky is behind it."""
PLANK = 0.2
SHADES = (100, 90)
"""Brightness of the planks in percent."""
TABLE = 0
"""Number of the table's geometry."""

Colours = Float64[np.ndarray, "n 3"]


@dataclass(frozen=True)
class Background:
    """Rays of the camera, and the table without anything on it."""

    rays: Float64[np.ndarray, "n 3"]
    light_rays: Float64[np.ndarray, "n 3"]
    """Directions from the light to the table's points."""
    light_distance: Float64[np.ndarray, " n"]
    in_light: UInt8[np.ndarray, "n 3"]
    in_shadow: UInt8[np.ndarray, "n 3"]


def picture(model: Any, state: Any, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Draw what the camera sees."""
    scene = background(side)
    geometry, distance, normal = cast(model, state, EYE, scene.rays)
    table = geometry <= TABLE
    bright = np.zeros(len(table), bool)
    bright[table] = lit(
        model, state, scene.light_rays[table], scene.light_distance[table]
    )
    pixels = np.where(bright[:, None], scene.in_light, scene.in_shadow)
    seen = np.flatnonzero(~table)
    points = EYE + scene.rays[seen] * distance[seen, None]
    rays, away = directions(points - LIGHT)
    bright = lit(model, state, rays, away)
    colours = model.geom_rgba[geometry[seen], :3].astype(np.float64)
    pixels[seen] = shaded(colours, -dot(normal[seen], rays), bright)
    return pixels.reshape(side, side, 3)


def lit(
    model: Any,
    state: Any,
    rays: Float64[np.ndarray, "n 3"],
    away: Float64[np.ndarray, " n"],
) -> Bool[np.ndarray, " n"]:
    """Tell which points the light reaches, by direction and distance from it."""
    _, distance, _ = cast(model, state, LIGHT, rays, normals=False)
    return (distance > away - TOLERANCE) | (distance < 0)


def cast(
    model: Any,
    state: Any,
    start: Float64[np.ndarray, "3"],
    rays: Float64[np.ndarray, "n 3"],
    normals: bool = True,
) -> tuple[
    Int32[np.ndarray, " n"], Float64[np.ndarray, " n"], Float64[np.ndarray, "m 3"]
]:
    """Cast rays: number of the geometry that each meets, else −1; distance, normal."""
    count = len(rays)
    geometry, distance = np.full(count, -1, np.int32), np.full(count, -1.0)
    normal = np.zeros(3 * count if normals else 0)
    if count:
        mujoco.mj_multiRay(
            model, state, start, rays.reshape(-1), None, 1, -1,
            geometry, distance, normal if normals else None, count, FARTHEST,
        )  # fmt: skip
    return geometry, distance, normal.reshape(-1, 3)


@lru_cache(maxsize=2)
def background(side: int) -> Background:
    """Compute the rays and the bare table of pictures of `side` × `side`."""
    across = (np.arange(side) + 0.5) / side * 2 - 1
    (forward,), _ = directions((LOOKED_AT - EYE)[None])
    right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, -forward[2], forward[1]])
    u, v = np.broadcast_arrays(across, -across[:, None])
    rays, _ = directions(
        (forward + OPENING * (u[..., None] * right + v[..., None] * up)).reshape(-1, 3)
    )
    downward = rays[:, 2] < -0.01
    distance = np.where(downward, -EYE[2] / np.where(downward, rays[:, 2], -1), 0)
    points = EYE + rays * distance[:, None]
    points[:, 2] = 0
    light_rays, away = directions(points - LIGHT)
    colours = table_colours(points[:, 0], points[:, 1])
    everywhere, nowhere = np.ones(len(rays), bool), np.zeros(len(rays), bool)
    in_light, in_shadow = (
        shaded(colours, np.full(len(rays), FROM_ABOVE), each)
        for each in (everywhere, nowhere)
    )
    sky = ~downward | (np.abs(points[:, :2]) > FLOOR_SIDE).any(axis=1)
    in_light[sky] = in_shadow[sky] = [round(255 * part) for part in SKY]
    return Background(rays, light_rays, away, in_light, in_shadow)


def shaded(
    colours: Colours, cosine: Float64[np.ndarray, " n"], bright: Bool[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n 3"]:
    """Light surfaces of some colours, by the cosine between normal and light."""
    level = np.where(bright, np.ceil(np.clip(cosine, 0, 1) * LEVELS), 0)
    light = AMBIENT + DIFFUSE * level / LEVELS
    return np.rint(np.clip(colours * light[:, None], 0, 1) * 255).astype(np.uint8)


def table_colours(
    x: Float64[np.ndarray, " n"], y: Float64[np.ndarray, " n"]
) -> Colours:
    """Colours of the table's planks, and of the floor around it."""
    plank = np.floor((x + 2) / PLANK)
    nearest = np.rint((x + 2) / PLANK)
    seam = np.abs((x + 2) / PLANK - nearest) < 0.02
    shade = np.array(SHADES)[plank.astype(int) % len(SHADES)] / 100
    colours = np.array(WOOD) * (shade * np.where(seam, 0.8, 1.0))[:, None]
    colours[(np.abs(x) > TABLE_SIDE) | (y > TABLE_BACK) | (y < TABLE_FRONT)] = FLOOR
    return colours


def directions(
    vectors: Float64[np.ndarray, "n 3"],
) -> tuple[Float64[np.ndarray, "n 3"], Float64[np.ndarray, " n"]]:
    """Split vectors into unit vectors and lengths."""
    length = np.sqrt(dot(vectors, vectors))
    return vectors / length[:, None], length


def dot(
    a: Float64[np.ndarray, "n 3"], b: Float64[np.ndarray, "n 3"]
) -> Float64[np.ndarray, " n"]:
    """Scalar products, added in a fixed order."""
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]
