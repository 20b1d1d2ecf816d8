"""Many submissions graded: claims read, results ranked, a leaderboard and a spreadsheet written.

Nothing here runs a model file or needs torch; bench/screening.py does what does.
"""
