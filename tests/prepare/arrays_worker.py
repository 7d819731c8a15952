"""Prepare the arrays of a file; print the number of clips and the peak of memory, MB.

Called with the file, the size of a frame, and a folder for frames.
"""

import sys
from pathlib import Path

from svtcli.prepare.sources import make_plan
from svtcli.recipe.data import ArraysData

if __name__ == "__main__":
    source, size, place = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    plan = make_plan(ArraysData("arrays", source, size=size))
    clips = 0
    for number, task in enumerate(t for group in plan.groups for t in group.tasks):
        frames = place / f"{number}.frames"
        clips += len(task.run(frames).cuts)
        for file in place.glob(f"{number}.*"):
            file.unlink()
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    print(clips, int(status.partition("VmHWM:")[2].split()[0]) // 1024)
