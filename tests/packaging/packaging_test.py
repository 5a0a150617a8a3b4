#!/usr/bin/env python3
"""Both in one process, so that the release is made and built once."""

import deb_test
import install_test
from release import tap

if __name__ == "__main__":
    tap.run({**vars(install_test), **vars(deb_test)})
