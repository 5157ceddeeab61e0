"""Kernels of the deformable convolution in Triton: one forward, one backward.

Images, offsets, masks and results lie in memory pixel by pixel, (B * H * W, values), so that a
sample is four short rows. Weights are (9 * C_in, C_out). Products are taken in the precision of
the weights, sums and positions are float32.

A constant in capitals is the size of a tile, or a choice; `pixels` counts those of all images. A
line is the distance of two pixels in memory, where offsets or masks are a part of longer rows.
"""

import triton
import triton.language as tl


@triton.jit
def _place(
    offset, mask, pixel, inside, tap, height, width,
    offset_line, mask_line, raw_bias, RAW: tl.constexpr,
):  # fmt: skip
    """Where a tap of each pixel samples.

    With RAW, offsets and masks are what a convolution gave before its bias: `raw_bias` (27,) is to
    be added, and the sigmoid of the sum is the factor.

    Returns:
        cell above and left of the sample (index into all pixels, row, column), the sample's
        distances below and right of it, and the tap's factor.
    """
    moves = offset + pixel * offset_line + 2 * tap
    dy = tl.load(moves, mask=inside, other=0.0).to(tl.float32)
    dx = tl.load(moves + 1, mask=inside, other=0.0).to(tl.float32)
    factor = tl.load(mask + pixel * mask_line + tap, mask=inside, other=0.0).to(tl.float32)
    if RAW:
        dy += tl.load(raw_bias + 2 * tap).to(tl.float32)
        dx += tl.load(raw_bias + 2 * tap + 1).to(tl.float32)
        factor = tl.sigmoid(factor + tl.load(raw_bias + 18 + tap).to(tl.float32))
    cell = pixel % (height * width)
    y = (cell // width + tap // 3 - 1).to(tl.float32) + dy
    x = (cell % width + tap % 3 - 1).to(tl.float32) + dx
    # Whatever lies further outside finds no cell either, and an index must not overflow.
    y = tl.minimum(tl.maximum(y, -2.0), height + 1.0)
    x = tl.minimum(tl.maximum(x, -2.0), width + 1.0)
    top, left = tl.floor(y), tl.floor(x)
    row, column = top.to(tl.int32), left.to(tl.int32)
    first = pixel - cell + row * width + column
    return first, row, column, y - top, x - left, factor


@triton.jit
def _exists(row, column, inside, height, width):
    """Whether each cell lies in the image."""
    return inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)


@triton.jit
def _corners(image, first, row, column, inside, channel, channels, height, width):
    """Values (pixels, channels), float32, of the four cells around each sample; 0 outside."""
    place = first[:, None] * channels + channel[None, :]
    known = (channel < channels)[None, :]
    here = _exists(row, column, inside, height, width)[:, None] & known
    right = _exists(row, column + 1, inside, height, width)[:, None] & known
    below = _exists(row + 1, column, inside, height, width)[:, None] & known
    across = _exists(row + 1, column + 1, inside, height, width)[:, None] & known
    line = width * channels
    return (
        tl.load(image + place, mask=here, other=0.0).to(tl.float32),
        tl.load(image + place + channels, mask=right, other=0.0).to(tl.float32),
        tl.load(image + place + line, mask=below, other=0.0).to(tl.float32),
        tl.load(image + place + line + channels, mask=across, other=0.0).to(tl.float32),
    )


@triton.jit
def _mix(a, b, c, d, low, right):
    """Bilinear mean of the four corners."""
    low, right = low[:, None], right[:, None]
    return (1 - low) * ((1 - right) * a + right * b) + low * ((1 - right) * c + right * d)


@triton.jit
def forward_kernel(
    image, offset, mask, raw_bias, weight, bias, result,
    pixels, height, width, channels, outputs, offset_line, mask_line,
    RAW: tl.constexpr, RELU: tl.constexpr,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr,
):  # fmt: skip
    """A tile (PIXELS, OUTPUTS) of the result; with RELU negative values become zero."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    output = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
    inside, wanted = pixel < pixels, output < outputs
    total = tl.zeros((PIXELS, OUTPUTS), dtype=tl.float32)
    for tap in range(9):
        first, row, column, low, right, factor = _place(
            offset, mask, pixel, inside, tap, height, width, offset_line, mask_line, raw_bias, RAW
        )
        for start in range(0, channels, CHANNELS):
            channel = start + tl.arange(0, CHANNELS)
            a, b, c, d = _corners(
                image, first, row, column, inside, channel, channels, height, width
            )
            sample = _mix(a, b, c, d, low, right) * factor[:, None]
            rows = (tap * channels + channel)[:, None] * outputs + output[None, :]
            known = (channel < channels)[:, None] & wanted[None, :]
            weights = tl.load(weight + rows, mask=known, other=0.0)
            total = tl.dot(sample.to(weights.dtype), weights, total, input_precision="ieee")
    total += tl.load(bias + output, mask=wanted, other=0.0).to(tl.float32)[None, :]
    if RELU:
        total = tl.maximum(total, 0.0)
    place = pixel[:, None] * outputs + output[None, :]
    known = inside[:, None] & wanted[None, :]
    tl.store(result + place, total.to(result.dtype.element_ty), mask=known)


@triton.jit
def gradient_kernel(
    image, offset, mask, columns, image_gradient, offset_gradient, mask_gradient,
    pixels, height, width, channels, offset_line, mask_line,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """Gradients of one tap of PIXELS pixels: of offsets, masks and, added up, of the image.

    `columns` (pixels, 9 * channels) holds the gradients of the samples, and then the samples
    themselves, of which a product makes the gradient of the weights.
    """
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    tap = tl.program_id(1)
    inside = pixel < pixels
    first, row, column, low, right, factor = _place(
        offset, mask, pixel, inside, tap, height, width, offset_line, mask_line, mask, False
    )
    by_y = tl.zeros((PIXELS,), dtype=tl.float32)
    by_x = tl.zeros((PIXELS,), dtype=tl.float32)
    by_factor = tl.zeros((PIXELS,), dtype=tl.float32)
    for start in range(0, channels, CHANNELS):
        channel = start + tl.arange(0, CHANNELS)
        place = columns + pixel[:, None].to(tl.int64) * (9 * channels) + tap * channels
        known = inside[:, None] & (channel < channels)[None, :]
        place += channel[None, :]
        by_sample = tl.load(place, mask=known, other=0.0).to(tl.float32)
        a, b, c, d = _corners(image, first, row, column, inside, channel, channels, height, width)
        sample = _mix(a, b, c, d, low, right)
        tl.store(place, (sample * factor[:, None]).to(columns.dtype.element_ty), mask=known)
        by_factor += tl.sum(by_sample * sample, axis=1)
        by_value = by_sample * factor[:, None]
        slope_y = (1 - right)[:, None] * (c - a) + right[:, None] * (d - b)
        slope_x = (1 - low)[:, None] * (b - a) + low[:, None] * (d - c)
        by_y += tl.sum(by_value * slope_y, axis=1)
        by_x += tl.sum(by_value * slope_x, axis=1)
        for corner in tl.static_range(4):
            below, beside = corner // 2, corner % 2
            share_y = low if below else 1 - low
            share_x = right if beside else 1 - right
            exists = _exists(row + below, column + beside, inside, height, width)
            cell = first + below * width + beside
            tl.atomic_add(
                image_gradient + cell[:, None] * channels + channel[None, :],
                by_value * (share_y * share_x)[:, None],
                mask=exists[:, None] & (channel < channels)[None, :],
                sem="relaxed",
            )
    tl.store(offset_gradient + pixel * 18 + 2 * tap, by_y, mask=inside)
    tl.store(offset_gradient + pixel * 18 + 2 * tap + 1, by_x, mask=inside)
    tl.store(mask_gradient + pixel * 9 + tap, by_factor, mask=inside)
