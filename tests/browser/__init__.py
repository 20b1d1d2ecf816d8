"""The page in a real Chromium: `nox -s browser`. `nox -s tests` runs none of it."""
