"""``python -m leverframe.apps.gateway``."""

import sys

from leverframe.apps.gateway.main import main

sys.exit(main())
