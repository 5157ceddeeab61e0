"""How fast a network runs on this machine: `python -m centernet_ros.benchmark`."""
