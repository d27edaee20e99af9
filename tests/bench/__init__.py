"""Measurements of the whole service, as ratios inside one run. Start them with `scripts/bench`."""
