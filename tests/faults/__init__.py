"""Reliability of training: faults of long runs, provoked on purpose.

A few of each fault run in CI, many more with `-m slow`. Others are tested beside their
code: locks, signals and partial results in tests/run, stopped stages in tests/prepare,
tests/sample, tests/evaluate and tests/cli, old checkpoints in tests/golden.
"""
