"""Program: `svt train` whose step takes 60 s longer to compile than its peers'."""

import sys
import time
from typing import Any

from svtcli.cli.app import main
from svtcli.train import stage

if __name__ == "__main__":
    compile_step = stage.jit_update

    def slowly(*arguments: Any) -> Any:
        time.sleep(60)
        return compile_step(*arguments)

    stage.jit_update = slowly  # type: ignore[assignment]
    sys.exit(main(sys.argv[1:]))
