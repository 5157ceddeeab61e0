"""The same object from image to image: stable numbers for detections.

Objects are points, so the next detection of an object is the nearest one to where it is expected:
greedy association of centres as in "Tracking Objects as Points" (Zhou et al. 2020, section 4.2),
with a motion of constant velocity in place of that paper's learned offset.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from centernet_ros.structures import Detections2D, Detections3D

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MAX_GAP = 3.0
"""Seconds between two images after which nothing is where it was."""

REACH_2D = 1.0
"""How far from its expected place an object may be found, in sides of a square of its box's area
(the paper's kappa); a box twice as large, or half, counts as far as well."""

REACH_ACROSS = 2.0
"""The same in space, across the line of sight: in metres."""

REACH_ALONG = 0.4
"""The same along the line of sight, where one camera is much less sure: as a share of the distance,
but no fewer metres than across."""

SETTLED = 5
"""Sightings after which position and velocity follow new ones no more slowly."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """The objects that one camera knows of.

    Attributes:
        ids: (M,) number of each, from 1 on; none is given twice.
        labels: (M,) class of each.
        places: (M, D) centre at the last sighting: in pixels (D = 2), or in metres of the camera's
            optical frame (D = 3).
        velocities: (M, D) of the centre per second.
        sizes: (M,) side in pixels of a square of the box's area.
        sightings: (M,) in how many images each was seen, at most `SETTLED`.
        seen: (M,) stamp of the last of them in seconds.
        stamp: of the last image in seconds.
        next_id: number of the next new object.
    """

    ids: Integers
    labels: Integers
    places: Floats
    velocities: Floats
    sizes: Floats
    sightings: Integers
    seen: Floats
    stamp: float
    next_id: int

    @classmethod
    def none(cls, next_id: int = 1, dimensions: int = 2) -> Tracks:
        """No object, at no time yet."""
        whole, real, places = np.zeros(0, np.int64), np.zeros(0), np.zeros((0, dimensions))
        return cls(whole, whole, places, places, real, whole, real, float("-inf"), next_id)


def track(
    tracks: Tracks, results: Detections2D, stamp: float, *, memory: float
) -> tuple[Tracks, list[int]]:
    """Recognise the objects of the next image.

    3D boxes are associated in space, all others in the image; only objects of one class are. An
    object that is not seen is expected where its velocity takes it, and has no result meanwhile.
    A step back in time, or one of more than `MAX_GAP`, makes all objects new ones.

    Args:
        tracks: after the image before.
        results: of the image, with finite numbers, in pixels of one and the same camera.
        stamp: of the image in seconds.
        memory: seconds that an object may stay unseen before it is forgotten.

    Returns:
        The tracks after this image, and the number of each result's object.
    """
    places, sizes = _places(results), _sizes(results)
    jumped = not tracks.stamp <= stamp <= tracks.stamp + MAX_GAP
    if jumped or tracks.places.shape[1] != places.shape[1]:
        tracks = Tracks.none(tracks.next_id, places.shape[1])
    labels = results.labels.numpy()
    rows = _associate(_costs(tracks, places, sizes, labels, stamp))
    known = rows >= 0
    next_id = tracks.next_id + int((~known).sum())
    ids = np.empty(len(rows), np.int64)
    ids[known], ids[~known] = tracks.ids[rows[known]], np.arange(tracks.next_id, next_id)
    smooth, velocities, sightings = _follow(tracks, rows, places, stamp)
    unseen = np.setdiff1d(np.flatnonzero(tracks.seen >= stamp - memory), rows)
    now = Tracks(
        ids=np.concatenate([ids, tracks.ids[unseen]]),
        labels=np.concatenate([labels, tracks.labels[unseen]]),
        places=np.concatenate([smooth, tracks.places[unseen]]),
        velocities=np.concatenate([velocities, tracks.velocities[unseen]]),
        sizes=np.concatenate([sizes, tracks.sizes[unseen]]),
        sightings=np.concatenate([sightings, tracks.sightings[unseen]]),
        seen=np.concatenate([np.full(len(rows), stamp), tracks.seen[unseen]]),
        stamp=stamp,
        next_id=next_id,
    )
    return now, ids.tolist()


def _places(results: Detections2D) -> Floats:
    """Where results are (N, D): in the image, or in space where they tell it."""
    if isinstance(results, Detections3D):
        centres: Floats = results.corners().mean(dim=1).numpy()
        return centres
    boxes: Floats = results.boxes.double().numpy()
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def _sizes(results: Detections2D) -> Floats:
    """Side (N,) of a square of each box's area, at least a pixel."""
    boxes: Floats = results.boxes.double().numpy()
    sides: Floats = np.sqrt((boxes[:, 2:] - boxes[:, :2]).clip(min=1.0).prod(axis=1))
    return sides


def _costs(tracks: Tracks, places: Floats, sizes: Floats, labels: Integers, stamp: float) -> Floats:
    """How ill results fit to tracks (N, M): 1 is just within reach, infinite another class."""
    ahead = tracks.places + tracks.velocities * (stamp - tracks.seen)[:, None]
    offsets = places[:, None] - ahead
    if places.shape[1] == 3:
        costs = _spatial_costs(offsets, places)
    else:
        costs = np.linalg.norm(offsets, axis=2)
        costs /= REACH_2D * np.sqrt(sizes[:, None] * tracks.sizes)
        costs += np.abs(np.log2(sizes[:, None] / tracks.sizes))
    return np.where(labels[:, None] == tracks.labels, costs, np.inf)


def _spatial_costs(offsets: Floats, places: Floats) -> Floats:
    """Offsets (N, M, 3) in metres at places (N, 3) as shares (N, M) of the reach."""
    distances = np.linalg.norm(places, axis=1, keepdims=True)
    along = (offsets @ (places / distances.clip(min=1e-6))[:, :, None])[:, :, 0]
    across = np.sqrt((np.square(offsets).sum(axis=2) - along**2).clip(min=0.0))
    reach = (REACH_ALONG * distances).clip(min=REACH_ACROSS)
    costs: Floats = np.hypot(across / REACH_ACROSS, along / reach)
    return costs


def _associate(costs: Floats) -> Integers:
    """The track (N,) of each result, -1 where there is none: the best fitting pair goes first."""
    rows = np.full(len(costs), -1)
    free = np.ones(costs.shape[1], bool)
    results, candidates = np.nonzero(costs <= 1)
    for i in np.argsort(costs[results, candidates], kind="stable"):
        if rows[results[i]] < 0 and free[candidates[i]]:
            rows[results[i]] = candidates[i]
            free[candidates[i]] = False
    return rows


def _follow(
    tracks: Tracks, rows: Integers, places: Floats, stamp: float
) -> tuple[Floats, Floats, Integers]:
    """Smoothed place (N, D), velocity (N, D) and sightings (N,) of the objects of an image.

    A straight line through the sightings by least squares, one at a time (an alpha-beta filter
    with the gains of a growing memory), from `SETTLED` on with gains that stay.
    """
    velocities, sightings = np.zeros_like(places), np.ones(len(rows), np.int64)
    known = rows >= 0
    old = rows[known]
    n = sightings[known] = np.minimum(tracks.sightings[old] + 1, SETTLED)
    alpha, beta = 2 * (2 * n - 1) / (n * (n + 1)), 6 / (n * (n + 1))
    passed = (stamp - tracks.seen[old])[:, None]
    ahead = tracks.places[old] + tracks.velocities[old] * passed
    error = places[known] - ahead
    rates = np.divide(error, passed, out=np.zeros_like(error), where=passed > 0)
    velocities[known] = tracks.velocities[old] + beta[:, None] * rates
    places = places.copy()
    places[known] = ahead + alpha[:, None] * error
    return places, velocities, sightings
