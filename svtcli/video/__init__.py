"""Pixels and codecs: videos and pictures, read and written. No jax."""

from importlib.metadata import version


def library_versions() -> dict[str, str]:
    """Versions of the libraries that decide the pixels of prepared clips."""
    import av

    ffmpeg = {
        name: ".".join(map(str, numbers))
        for name, numbers in av.library_versions.items()
        if name in ("libavcodec", "libavfilter", "libswscale")
    }
    return {name: version(name) for name in ("av", "numpy", "pillow")} | ffmpeg
