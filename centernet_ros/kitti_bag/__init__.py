"""KITTI's object data set as a rosbag2 folder, so that a node can be measured on it."""
