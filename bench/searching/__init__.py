"""A search over recipes and widths by tuning seeds: a space, configurations drawn from it, a study.

Optuna proposes and prunes; the harness trains. What is stored is the ledger and a line for each
configuration: a search that goes on is the one that was stopped, replayed from them.
"""
