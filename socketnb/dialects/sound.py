"""Conversion of raw samples to WAV. Bots stream raw samples, and notebooks can only play files."""

from __future__ import annotations

import functools
import io
import math
import struct
import wave

MU_LAW = "audio/x-mulaw"
RATES = {MU_LAW: 8_000, "audio/pcm": 24_000}
"""Samples per second. μ-law has telephony's 8 kHz (ITU-T G.711). No vendor names a rate for PCM; 24 kHz is usual."""


ENCODINGS = frozenset({*RATES, "audio/mp3", "audio/mpeg", "audio/wav", "audio/ogg", "audio/webm", "audio/aac"})
"""The encodings that can be played: raw samples, and files that browsers play."""


def wav(encoding: str, samples: bytes) -> bytes:
    """Return raw mono samples as a 16-bit WAV file. PCM samples are little-endian 16-bit already."""
    linear = samples[: len(samples) // 2 * 2]
    if encoding == MU_LAW:
        linear = struct.pack(f"<{len(samples)}h", *(_LINEAR[byte] for byte in samples))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATES[encoding])
        out.writeframes(linear)
    return file.getvalue()


@functools.cache
def tone(encoding: str, seconds: float, hertz: float = 330.0) -> bytes:
    """Return a quiet tone as raw samples. Simulators send it as speech."""
    rate = RATES[encoding]
    count = int(rate * seconds)
    values = [
        int(6000 * math.sin(2 * math.pi * hertz * n / rate) * math.sin(math.pi * n / count)) for n in range(count)
    ]
    if encoding == MU_LAW:
        return bytes(min(range(256), key=lambda code: abs(_LINEAR[code] - value)) for value in values)
    return struct.pack(f"<{count}h", *values)


def _decoded(code: int) -> int:
    """Return the linear value of a μ-law code (ITU-T G.711, table 2b)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code >> 4) & 0x07)) - 0x84
    return -magnitude if code & 0x80 else magnitude


_LINEAR = [_decoded(code) for code in range(256)]
