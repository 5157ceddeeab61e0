"""Which camera_info an image gets: its own where pairs come, else the newest."""

import time

import pytest

from centernet_ros.ros.pairing import MISSES, REMEMBERED, Arrival, Pairing


class Driver:
    """A camera driver's two topics, and what the pairing made of them."""

    def __init__(self):
        self.got = []
        self.pairing = Pairing(lambda arrival: self.got.append((arrival.stamp, arrival.info)))

    def image(self, stamp, age=1.0):
        self.pairing.add_image(Arrival(None, stamp, 0, time.monotonic() - age))

    def info(self, stamp, name=None):
        self.pairing.add_info(stamp, name or f"info {stamp}")

    def wait(self):
        for _ in range(2):
            self.pairing.flush()


@pytest.fixture
def driver():
    return Driver()


def test_info_before_image(driver):
    for stamp in (1, 2):
        driver.info(stamp)
        driver.image(stamp)
    assert driver.got == [(1, "info 1"), (2, "info 2")]


def test_info_after_image(driver):
    for stamp in (1, 2):
        driver.image(stamp)
        assert len(driver.got) == stamp - 1, "it waits for its own"
        driver.info(stamp)
    assert driver.got == [(1, "info 1"), (2, "info 2")]


def test_info_that_came_once_serves_all_images(driver):
    driver.info(0)
    for stamp in range(1, MISSES + 3):
        driver.image(stamp)
        # The first ones wait until their successors show that no pairs come.
        assert len(driver.got) == (stamp - 1 if stamp <= MISSES else stamp)
    assert driver.got == [(stamp, "info 0") for stamp in range(1, MISSES + 3)]


def test_after_a_lost_info_the_next_image_still_waits(driver):
    driver.image(1)
    driver.info(1, "near")
    driver.image(2)
    driver.wait()
    driver.image(3)
    driver.info(3, "far")
    assert driver.got == [(1, "near"), (2, "near"), (3, "far")]


def test_what_came_while_the_executor_was_busy_counts(driver):
    driver.info(1)
    driver.image(2)
    driver.pairing.flush()
    driver.info(2)
    assert driver.got == [(2, "info 2")]


def test_a_young_image_goes_on_waiting(driver):
    """However often it is looked at: the executor may have been busy with something else."""
    driver.image(2, age=0)
    for _ in range(3):
        driver.pairing.flush()
    driver.info(2)
    assert driver.got == [(2, "info 2")]


def test_an_image_waits_for_so_long_only(driver):
    driver.info(0)
    driver.image(5)
    driver.pairing.flush()
    assert driver.got == []
    driver.image(6)
    assert driver.got == [(5, "info 0")]
    driver.pairing.flush()
    assert driver.got == [(5, "info 0")], "each has two calls of its own"
    assert driver.pairing.waiting
    driver.pairing.flush()
    assert driver.got[1:] == [(6, "info 0")]
    assert not driver.pairing.waiting


def test_without_any_info_images_come_all_the_same(driver):
    for stamp in (1, 2, 3):
        driver.image(stamp)
        driver.wait()
    assert driver.got == [(1, None), (2, None), (3, None)]


def test_pairs_that_end_and_come_again(driver):
    driver.image(1)
    driver.info(1)
    for stamp in (2, 3, 4):
        driver.image(stamp)
        driver.wait()
    assert driver.got[1:] == [(2, "info 1"), (3, "info 1"), (4, "info 1")]
    driver.info(5)
    driver.image(5)
    driver.image(6)
    driver.info(6)
    assert driver.got[-2:] == [(5, "info 5"), (6, "info 6")]


def test_after_a_late_info_images_wait_again(driver):
    driver.info(1)
    for stamp in range(2, MISSES + 2):
        driver.image(stamp)
        driver.wait()
    driver.image(10, age=0)
    assert driver.got[-1] == (10, "info 1")
    driver.info(10)
    driver.image(11)
    driver.info(11)
    assert driver.got[-1] == (11, "info 11")


def test_what_always_comes_too_late_is_waited_for_no_more(driver):
    driver.info(1)
    for stamp in range(2, MISSES + 6):
        driver.image(stamp, age=0.2)
        if stamp < MISSES + 2:
            driver.wait()
        assert driver.got[-1][0] == stamp
        driver.info(stamp)


def test_a_calibration_that_changes_counts_from_its_own_image_on(driver):
    driver.info(1, "near")
    driver.info(2, "far")
    driver.image(1)
    driver.image(2)
    assert driver.got == [(1, "near"), (2, "far")]


def test_the_newest_is_the_last_one_to_come_even_when_time_jumps_back(driver):
    driver.info(1000)
    driver.info(3)
    driver.image(5)
    driver.wait()
    assert driver.got == [(5, "info 3")]


def test_old_infos_are_forgotten(driver):
    for stamp in range(REMEMBERED + 1):
        driver.info(stamp)
    driver.image(0)
    driver.wait()
    assert driver.got == [(0, f"info {REMEMBERED}")]
