#!/bin/sh
# Print the Python that the environment is made with, or say in one line what to install.
# usage: find_python.sh [interpreter]
# A sourced ROS 2 distribution (DISTRIBUTION is its name) brings its own Python; otherwise any of 3.10-3.13 will do.

runs() { "$1" -c "$2" >/dev/null 2>&1; }
in_range='import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))'

if [ -n "$DISTRIBUTION" ]; then
    needed='import sys, rclpy; sys.exit(sys.version_info[:2] < (3, 10))'
    hint="ROS 2 $DISTRIBUTION is sourced, but its rclpy cannot be imported: sudo apt install ros-$DISTRIBUTION-rclpy (or use a shell in which ROS is not sourced)"
    candidates="python3 /usr/bin/python3"
else
    needed=$in_range
    hint="no Python 3.10-3.13 found: sudo apt install python3 python3-venv python3-dev (or name one: make PYTHON=/path/to/python3.12)"
    candidates="python3 python3.13 python3.12 python3.11 python3.10"
fi

if [ -n "$1" ]; then
    hint="PYTHON=$1 is not a Python 3.10-3.13: leave PYTHON away, or sudo apt install python3.12 python3.12-venv python3.12-dev and make PYTHON=python3.12"
    [ -n "$DISTRIBUTION" ] && hint="PYTHON=$1 cannot import the rclpy of ROS 2 $DISTRIBUTION: leave PYTHON away, or sudo apt install ros-$DISTRIBUTION-rclpy"
    candidates=$1
fi

for candidate in $candidates; do
    if runs "$candidate" "$needed"; then
        "$candidate" -c 'import sys; print(sys.executable)'
        exit 0
    fi
done
echo "error: $hint" >&2
exit 1
