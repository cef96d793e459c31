"""Sends a film to the least loaded member, where ffmpeg makes ten thumbnails of it.

    python examples/thumbnails/thumbnails.py [URL of a member] [folder]
"""

import sys
from pathlib import Path

from distributed_pool import DistributedPool

# The filter selects every third of the 31 frames.
FFMPEG = (
    "ffmpeg -v error -i film.mp4 -vf select='not(mod(n,3))',scale=320:-1 "
    "-fps_mode passthrough -frames:v 10 %02d.png"
)


def main(url="http://127.0.0.1:7400", folder="thumbnails"):
    film = Path(__file__).with_name("birds.mp4")
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    with DistributedPool(url) as pool:
        made = pool.run(
            "pipeline", FFMPEG.split(), files={"film.mp4": film}, artifacts=["*.png"]
        )
        for image in made.artifacts:
            (target / image.path).write_bytes(made.child.file(image.path))
    member = made.child.id.split(".")[0]
    print(f"{member} made {len(made.artifacts)} thumbnails in {folder}")


main(*sys.argv[1:])
