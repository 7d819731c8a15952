"""Videos of any model, or of none, as one thing that is read lazily.

Samples of ours, prepared clips, arrays and folders of frames all become `Videos`: the
metrics never know what they read. Glossary: N clips, M continuations of each, F frames.
"""

from svtcli.evaluate.foreign.opening import open_videos
from svtcli.evaluate.foreign.source import Videos

__all__ = ["Videos", "open_videos"]
