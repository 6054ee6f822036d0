"""What phones and browsers record, encoded by real encoders (FFmpeg's), and what comes of it here.

``python benchmarks/containers.py [WAV]`` encodes a recording (else synthetic speech) in each of `CONTAINERS`, hears it
with the model that comes with the package, and writes ``CONTAINERS.md``: what is heard in each, and how far its level
and its probabilities are from those of the WAV file.
"""

import io
import sys
import time
from pathlib import Path

import av
import numpy as np

from serlib import audio, predict, synthetic

SR = 48000
CONTAINERS = {  # suffix -> (who writes it, codec, FFmpeg's name of the container, rate in Hz)
    "m4a": ("voice memos of phones", "aac", "ipod", 44100),
    "alac.m4a": ("voice memos, lossless", "alac", "ipod", 44100),
    "mp4": ("Safari's recorder", "aac", "mp4", 48000),
    "mov": ("cameras", "pcm_s16le", "mov", 48000),
    "aac": ("Android recorders", "aac", "adts", 44100),
    "webm": ("Chrome's and Firefox's recorder", "libopus", "webm", 48000),
    "mka": ("Matroska", "libopus", "matroska", 48000),
    "amr": ("older phones", "libopencore_amrnb", "amr", 8000),
    "3gp": ("older phones, Android", "libopencore_amrnb", "3gp", 8000),
    "wma": ("Windows recorders", "wmav2", "asf", 44100),
    "caf": ("iOS programs", "alac", "caf", 44100),
    "opus": ("messengers", "libopus", "ogg", 48000),
    "mp3": ("all", "libmp3lame", "mp3", 44100),
}


def encoded(signal, suffix, *, layout="mono"):
    """Return a signal as the bytes of a file in one of `CONTAINERS`.

    Parameters
    ----------
    signal : ndarray of float32, shape (n_samples,) or (n_channels, n_samples)
        At `SR`.
    suffix : str
    layout : str
        FFmpeg's name of the channels.

    Returns
    -------
    bytes
    """
    _, codec, container, sr = CONTAINERS[suffix]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=sr, layout=layout)
        stream.bit_rate = 12200 if "amr" in codec else 64000
        planes = np.ascontiguousarray(np.atleast_2d(signal), np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
        frame.sample_rate = SR
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=sr)
        for block in [*resampler.resample(frame), *resampler.resample(None)]:
            output.mux(stream.encode(block))
        output.mux(stream.encode(None))
    return file.getvalue()


def main():
    """Write the table."""
    given = Path(sys.argv[1]).name if len(sys.argv) > 1 else ""
    signal = audio.load(sys.argv[1], SR) if given else synthetic.speech("anger", "me", gender="male", sr=SR)
    predictor = predict.Predictor("emodb-paper")
    said = predictor.hear(signal, SR)
    rows = []
    for suffix, (who, codec, *_, sr) in CONTAINERS.items():
        file = io.BytesIO(encoded(signal, suffix))
        started = time.perf_counter()
        heard = predictor.hear(file)
        seconds = time.perf_counter() - started
        head, decoded = audio.header(file), audio.load(file, SR)
        change_db = audio.level_db(decoded) - audio.level_db(signal)
        change = max(abs(heard["probabilities"][emotion] - p) for emotion, p in said["probabilities"].items())
        rows.append(
            f"| .{suffix} | {who} | {codec} | {sr:,} | {head.duration_s:.2f} | {change_db:+.1f} | {heard['emotion']} |"
            f" {change:.2f} | {1000 * seconds:.0f} |"
        )
    heading = [
        f"{len(signal) / SR:.2f} s of speech, `{said['emotion']}` as WAV,"
        f" made by `python benchmarks/containers.py {given}`.",
        "",
        "| file | written by | codec | Hz | s | change of level (dB) | heard | largest change of a probability | ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    text = "\n".join(["# What phones and browsers record", "", *heading, *rows, ""])
    Path(__file__).with_name("CONTAINERS.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
