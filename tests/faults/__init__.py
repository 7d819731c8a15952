"""The reliability bar of training: what goes wrong in a long run, done on purpose.

A small share of each fault runs in CI, the nightly numbers with `-m slow`. Faults of a
part are beside its tests: kills at the stages of a save in tests/training, kills while
saving, locks and a file limit in tests/cli/test_train.py, preparing in tests/stages.
"""
