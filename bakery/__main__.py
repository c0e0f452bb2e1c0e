"""`python -m bakery`."""

import sys

from bakery.cli.main import main

sys.exit(main())
