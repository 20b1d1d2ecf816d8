"""The ledger in the forms that other programs read: tables, an MLflow store, TensorBoard's files.

Each reads recorded runs and their verdicts; none imports torch or runs a model file. A library that
an export needs is imported when it is asked for.
"""
