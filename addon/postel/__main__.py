"""`python -m postel` is `postel`."""

import sys

from postel.cli import main

sys.exit(main())
