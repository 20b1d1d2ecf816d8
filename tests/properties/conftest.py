"""Laws are checked on as many examples as they need, however busy the machine is."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("laws", deadline=None, print_blob=True)
settings.load_profile("laws")
