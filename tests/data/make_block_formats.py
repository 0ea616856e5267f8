"""Writes block_formats.bin, the reference for tests/base/block_format_test.cpp: what the Python package `gguf` makes of
random blocks of each format. Scales are random float16 numbers of every size, subnormals and the extremes included.

    python make_block_formats.py

The file holds, for each format: its number (aby_dtype), the number of blocks, the blocks, the float32 values.
"""

import pathlib
import struct

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

# Number of the format, and where its block has float16 numbers.
FORMATS = {
    "Q4_0": (20, [0]),
    "Q4_1": (21, [0, 2]),
    "Q5_0": (22, [0]),
    "Q5_1": (23, [0, 2]),
    "Q8_0": (24, [0]),
    "Q2_K": (25, [80, 82]),
    "Q3_K": (26, [108]),
    "Q4_K": (27, [0, 2]),
    "Q5_K": (28, [0, 2]),
    "Q6_K": (29, [208]),
    "IQ4_NL": (30, [0]),
    "IQ4_XS": (31, [0]),
    "MXFP4": (32, []),
}
EXTREMES = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x7BFF, 0xFBFF, 0x3C00]


def blocks_of(random, size, halves, count):
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    for at in halves:
        bits = random.integers(0, 0x7C00, count, dtype=np.uint16)  # finite
        bits |= random.integers(0, 2, count, dtype=np.uint16) << 15
        bits[: len(EXTREMES)] = random.permutation(EXTREMES)
        blocks[:, at : at + 2] = bits.astype("<u2").reshape(count, 1).view(np.uint8)
    if not halves:  # mxfp4: every exponent
        blocks[:, 0] = np.arange(count)
    return blocks


def main():
    random = np.random.default_rng(20250128)
    with open(pathlib.Path(__file__).with_name("block_formats.bin"), "wb") as out:
        for name, (number, halves) in FORMATS.items():
            kind = GGMLQuantizationType[name]
            elements, size = GGML_QUANT_SIZES[kind]
            blocks = blocks_of(random, size, halves, 256 if not halves else 1024 // elements + 8)
            values = dequantize(blocks, kind).astype("<f4")
            out.write(struct.pack("<II", number, len(blocks)) + blocks.tobytes() + values.tobytes())


main()
