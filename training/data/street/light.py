"""Light and air of one picture."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from training.data.street.geometry import Array, CameraPose


@dataclass(frozen=True)
class Light:
    """Sun, sky light and haze.

    Attributes:
        sun: (3,) unit vector towards the sun (y down, so its y is negative).
        direct: strength of the sun's light, 0 under a closed cloud cover.
        ambient: strength of the light from everywhere.
        tint: (3,) factors of blue, green, red.
        air: (3,) colour that far things fade to.
        visibility: metres after which about two thirds of a thing's colour have faded.
    """

    sun: Array
    direct: float
    ambient: float
    tint: Array
    air: Array
    visibility: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> Light:
        """A time of day and a weather."""
        azimuth, elevation = rng.uniform(-math.pi, math.pi), rng.uniform(0.35, 1.2)
        sun = np.array(
            [
                math.sin(azimuth) * math.cos(elevation),
                -math.sin(elevation),
                math.cos(azimuth) * math.cos(elevation),
            ]
        )
        cloudy = rng.random() < 0.35
        direct = rng.uniform(0.0, 0.2) if cloudy else rng.uniform(0.45, 0.75)
        warmth = rng.normal(0.0, 0.05)
        tint = np.array([1 - warmth, 1.0, 1 + warmth])
        bright = rng.uniform(175, 235)
        air = np.clip(bright * np.array([1.05 - warmth, 1.0, 0.95 + warmth]), 0, 255)
        visibility = rng.uniform(60, 140) if rng.random() < 0.25 else rng.uniform(140, 500)
        return cls(sun, float(direct), float(rng.uniform(0.5, 0.65)), tint, air, float(visibility))

    def seen_from(self, pose: CameraPose) -> Light:
        """The same light with the sun's direction in the optical frame."""
        return dataclasses.replace(self, sun=pose.direction_to_camera(self.sun))

    def shade(self, colours: Array, normals: Array, emission: Array | float = 0.0) -> Array:
        """Colours (F, 3) of surfaces with unit normals (F, 3), lit.

        Args:
            colours: colours in neutral light.
            normals: outward normals in the frame of the sun's direction.
            emission: (F,) share of the colour that needs no light.
        """
        facing = np.maximum((normals * self.sun).sum(axis=-1), 0.0)
        sky = 0.85 - 0.15 * normals[..., 1]
        strength = np.maximum(self.ambient * sky + self.direct * facing, emission)
        lit: Array = np.minimum(colours * (strength[..., None] * self.tint), 255)
        return lit

    def haze(self, colours: Array, distance: Array | float) -> Array:
        """Colours (F, 3) as seen through so many metres ((F, 1) or one number) of air."""
        clear = np.exp(-np.asarray(distance) / self.visibility)
        faded: Array = colours * clear + self.air * (1 - clear)
        return faded
