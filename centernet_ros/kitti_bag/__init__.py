"""KITTI's object data set as a rosbag2 folder, so that a node can be measured on it."""

RECORDED_TOPIC = "/kitti_recorder/recorded"
"""A std_msgs/Header for each frame whose results are written, of the stamp of the frame."""
