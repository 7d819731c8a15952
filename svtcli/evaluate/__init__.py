"""Numbers: how likely held-out video is, and how good samples are."""
