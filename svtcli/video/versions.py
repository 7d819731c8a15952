"""Which libraries make the pixels: part of what decides a clip's bytes."""

from importlib.metadata import version


def library_versions() -> dict[str, str]:
    """Versions of the packages, and of FFmpeg's libraries inside PyAV."""
    import av

    ffmpeg = {
        name: ".".join(map(str, numbers))
        for name, numbers in av.library_versions.items()
        if name in ("libavcodec", "libavfilter", "libswscale")
    }
    return {name: version(name) for name in ("av", "numpy", "pillow")} | ffmpeg
