"""Reliability of training: faults of long runs, provoked on purpose.

A small share of each fault runs in CI, the nightly numbers with `-m slow`. Faults of a
part are beside its tests: locks and the second Ctrl-C in tests/training and
tests/cli/test_train.py, preparing in tests/stages, old checkpoints in tests/golden.
"""
