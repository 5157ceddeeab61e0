"""A small folder of KITTI's form, with the calibration of a real drive's kind."""

import cv2
import numpy as np
import pytest

SIZE = 48, 96
"""Height and width of the images."""

CALIBRATION = """\
P0: 100 0 48 0 0 100 24 0 0 0 1 0
P2: {focal} 0 48 4.5 0 {focal} 24 0.2 0 0 1 0.003
R0_rect: 9.999239e-01 9.837760e-03 -7.445048e-03 -9.869795e-03 9.999421e-01 -4.278459e-03 \
7.402527e-03 4.351614e-03 9.999631e-01
Tr_velo_to_cam: 7.533745e-03 -9.999714e-01 -6.166020e-04 -4.069766e-03 1.480249e-02 7.280733e-04 \
-9.998902e-01 -7.631618e-02 9.998621e-01 7.523790e-03 1.480755e-02 -2.717806e-01
Tr_imu_to_velo: 9.999976e-01 7.553071e-04 -2.035826e-03 -8.086759e-01 -7.854027e-04 9.998898e-01 \
-1.482298e-02 3.195559e-01 2.024406e-03 1.482454e-02 9.998881e-01 -7.997231e-01
"""


def picture(value):
    """An image that tells its number, its left from its right and its top from its bottom."""
    image = np.full((*SIZE, 3), value, np.uint8)
    image[:, : SIZE[1] // 2, 0] = 255
    image[: SIZE[0] // 3, :, 1] = 128
    return image


@pytest.fixture
def kitti(tmp_path):
    """Three frames in `training`, the last of another drive: another camera, and a JPEG."""
    root = tmp_path / "kitti" / "training"
    for name in ("image_2", "calib"):
        (root / name).mkdir(parents=True)
    for number, suffix, focal in ((3, "png", 100.0), (7, "png", 100.0), (11, "jpg", 90.0)):
        assert cv2.imwrite(str(root / f"image_2/{number:06d}.{suffix}"), picture(number))
        (root / f"calib/{number:06d}.txt").write_text(CALIBRATION.format(focal=focal))
    return root
