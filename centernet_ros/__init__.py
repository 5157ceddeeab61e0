"""CenterNet ("Objects as Points", Zhou et al. 2019) for ROS 2: boxes, 3D boxes and poses."""

from pkgutil import extend_path

# The generated messages (centernet_ros.msg) are built outside the source tree; this joins both.
__path__ = extend_path(__path__, __name__)
