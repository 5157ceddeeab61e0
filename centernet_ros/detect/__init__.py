"""The command `python -m centernet_ros.detect`: images from anywhere in, pictures and files out."""
