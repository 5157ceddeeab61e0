"""`python -m demo`: a camera, the CenterNet node and a recorder as ROS 2 processes, end to end."""
