"""`python -m centernet_ros.ros`: the node without an installation."""

import sys

from centernet_ros.ros.main import main

sys.exit(main())
