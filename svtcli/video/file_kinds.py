"""Kinds of files, by their ending or their first bytes; the videos that are decoded."""

import os
import re

VIDEO, PICTURE, ARRAY, OTHER = "video", "picture", "array", "other file"
DEMUXERS = {
    "mov": "mp4 mov m4v qt 3gp 3gpp 3g2 f4v ismv mj2 insv lrv",
    "matroska": "mkv webm mk3d",
    "avi": "avi divx xvid",
    "flv": "flv",
    "mpegts": "ts mts m2ts m2t tp trp tod",
    "mpeg": "mpg mpeg mpe vob evo vro m2p",
    "mpegvideo": "m1v m2v mpv mp2v mpv2",
    "m4v": "",
    "h264": "h264 264 avc h26l",
    "hevc": "hevc h265 265",
    "vvc": "vvc h266 266",
    "obu": "obu",
    "dirac": "drc vc2",
    "ivf": "ivf",
    "ogg": "ogv ogm ogx",
    "asf": "asf wmv dvr-ms",
    "yuv4mpegpipe": "y4m",
    "nut": "nut",
    "mxf": "mxf",
    "gxf": "gxf",
    "rm": "rm rmvb",
    "dv": "dv dif",
    "wtv": "wtv",
    "gif": "gif",
    "apng": "apng",
}
"""FFmpeg's demuxers that may open a file, and endings of their videos. No playlists
(HLS, concat, DASH …): a file with such content would make FFmpeg read other files."""
FORMATS = ",".join(DEMUXERS)
"""Value of FFmpeg's `format_whitelist`."""
ENDINGS = tuple(f".{ending}" for each in DEMUXERS.values() for ending in each.split())
"""Endings of files that are videos, or broken."""
KINDS = {
    PICTURE: (
        "png jpg jpeg jpe jfif bmp tif tiff webp heic heif avif jxl jp2 ppm pgm pbm "
        "pnm exr dpx tga ico psd svg dng cr2 cr3 nef arw thm"
    ),
    "audio file": (
        "mp3 wav m4a m4b aac ac3 flac ogg oga opus wma aif aiff au amr mp2 mka isma mid"
    ),
    "archive": "zip tar gz tgz bz2 tbz2 xz txz zst 7z rar lz4 iso",
    "unfinished download": "part partial crdownload download aria2 ytdl tmp",
    ARRAY: (
        "npy npz h5 hdf5 mat pt pth pkl pickle safetensors parquet arrow feather "
        "tfrecord tfrecords mdb"
    ),
    "text file": (
        "txt csv tsv json jsonl md rst xml yaml yml toml html htm srt vtt ass ssa sub "
        "mks ism nfo log pdf py sh m3u m3u8 url"
    ),
}
"""Endings of files that are no videos, by the name of their kind in the singular."""
BY_ENDING = dict.fromkeys(ENDINGS, VIDEO) | {
    f".{ending}": kind for kind, endings in KINDS.items() for ending in endings.split()
}
MIXED = (".webp", ".ogg")
"""Endings whose first bytes tell a video from a picture or an audio file."""
FIRST_BYTES = 4096
STARTS = re.compile(
    rb"""(?xs)
      .{4} ftyp (?! heic | heix | mif1 | avif | M4A | M4B)  # MP4, QuickTime
    | \0.{3} (?: moov | wide | free | skip | pnot ) | .{4} mdat
    | \x1aE\xdf\xa3                                         # Matroska, WebM
    | RIFF .{4} (?: AVI\x20 | WEBPVP8X .{4} [%b] )
    | FLV\x01 | DKIF\0\0 | \.RMF | YUV4MPEG2 | GIF8 | nut/multimedia | BBCD\0
    | OggS .* (?: \x80theora | OVP80 | BBCD\0 | \x01video )
    | G .{187} G .{187} G | .{4} G .{191} G .{191} G        # MPEG-TS, AVCHD
    | \0\0\x01 [\xb0\xb3\xba]                               # MPEG
    | \0\0\0\x01 [\x09\x27\x40\x46\x67]                     # H.264, HEVC
    | 0&\xb2u\x8ef\xcf\x11 | \xb7\xd8\0\x207I\xda\x11       # ASF, WTV
    | \x06\x0e\x2b4\x02\x05\x01\x01\x0d\x01\x02             # MXF
    | \0{4} \x01\xbc | \x1f\x07\0 [\x3f\xbf]                # GXF, DV
    """
    % re.escape(bytes(flags for flags in range(64) if flags & 2))  # animated WebP
)
"""First bytes of videos; compare the `read_probe` of FFmpeg's demuxers."""


def kind_of(path: str) -> str:
    """Return the kind of a file: VIDEO, a key of KINDS, or OTHER.

    Only files that an ending does not tell are opened, and their first bytes read.
    """
    ending = os.path.splitext(path)[1].lower()  # noqa: PTH122 (fast: 400,000 files)
    kind = BY_ENDING.get(ending, OTHER)
    if (kind is OTHER or ending in MIXED) and _starts_as_video(path):
        return VIDEO
    return kind


def _starts_as_video(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            return STARTS.match(file.read(FIRST_BYTES)) is not None
    except OSError:
        return False
