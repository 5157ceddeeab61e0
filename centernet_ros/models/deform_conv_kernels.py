"""Kernels of the deformable convolution in Triton: one forward, two backward.

Images, offsets, masks and results lie in memory pixel by pixel, (B * H * W, values), so that a
sample is four short rows. Weights are (9 * C_in, C_out). Products are taken in the precision of
the weights, sums and positions are float32.

A constant in capitals is the size of a tile; `pixels` counts those of all images.
"""

import triton
import triton.language as tl


@triton.jit
def _place(offset, mask, pixel, inside, tap, height, width):
    """Where a tap of each pixel samples.

    Returns:
        cell above and left of the sample (index into all pixels, row, column), the sample's
        distances below and right of it, and the tap's factor.
    """
    dy = tl.load(offset + pixel * 18 + 2 * tap, mask=inside, other=0.0).to(tl.float32)
    dx = tl.load(offset + pixel * 18 + 2 * tap + 1, mask=inside, other=0.0).to(tl.float32)
    factor = tl.load(mask + pixel * 9 + tap, mask=inside, other=0.0).to(tl.float32)
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
    image, offset, mask, weight, bias, result,
    pixels, height, width, channels, outputs,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr,
):  # fmt: skip
    """A tile (PIXELS, OUTPUTS) of the result."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    output = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
    inside, wanted = pixel < pixels, output < outputs
    total = tl.zeros((PIXELS, OUTPUTS), dtype=tl.float32)
    for tap in range(9):
        first, row, column, low, right, factor = _place(
            offset, mask, pixel, inside, tap, height, width
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
    place = pixel[:, None] * outputs + output[None, :]
    known = inside[:, None] & wanted[None, :]
    tl.store(result + place, total.to(result.dtype.element_ty), mask=known)


@triton.jit
def input_gradient_kernel(
    image, offset, mask, weight, gradient, image_gradient, offset_gradient, mask_gradient,
    pixels, height, width, channels, outputs,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr,
):  # fmt: skip
    """Gradients of one tap of PIXELS pixels: of offsets, masks and, added up, of the image."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    tap = tl.program_id(1)
    inside = pixel < pixels
    first, row, column, low, right, factor = _place(offset, mask, pixel, inside, tap, height, width)
    by_y = tl.zeros((PIXELS,), dtype=tl.float32)
    by_x = tl.zeros((PIXELS,), dtype=tl.float32)
    by_factor = tl.zeros((PIXELS,), dtype=tl.float32)
    for start in range(0, channels, CHANNELS):
        channel = start + tl.arange(0, CHANNELS)
        by_sample = tl.zeros((PIXELS, CHANNELS), dtype=tl.float32)
        for begin in range(0, outputs, OUTPUTS):
            output = begin + tl.arange(0, OUTPUTS)
            place = pixel[:, None] * outputs + output[None, :]
            known = inside[:, None] & (output < outputs)[None, :]
            own = tl.load(gradient + place, mask=known, other=0.0)
            rows = (tap * channels + channel)[None, :] * outputs + output[:, None]
            known = (channel < channels)[None, :] & (output < outputs)[:, None]
            weights = tl.load(weight + rows, mask=known, other=0.0)
            by_sample = tl.dot(own, weights, by_sample, input_precision="ieee")
        a, b, c, d = _corners(image, first, row, column, inside, channel, channels, height, width)
        by_factor += tl.sum(by_sample * _mix(a, b, c, d, low, right), axis=1)
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
            )
    tl.store(offset_gradient + pixel * 18 + 2 * tap, by_y, mask=inside)
    tl.store(offset_gradient + pixel * 18 + 2 * tap + 1, by_x, mask=inside)
    tl.store(mask_gradient + pixel * 9 + tap, by_factor, mask=inside)


@triton.jit
def weight_gradient_kernel(
    image, offset, mask, gradient, weight_gradient,
    pixels, height, width, channels, outputs,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """A tile (CHANNELS, OUTPUTS) of one tap's weights: what every SPLITS-th tile of pixels adds."""
    tap = tl.program_id(0) % 9
    channel = tl.program_id(0) // 9 * CHANNELS + tl.arange(0, CHANNELS)
    output = tl.program_id(1) * OUTPUTS + tl.arange(0, OUTPUTS)
    total = tl.zeros((CHANNELS, OUTPUTS), dtype=tl.float32)
    for start in range(tl.program_id(2) * PIXELS, pixels, SPLITS * PIXELS):
        pixel = start + tl.arange(0, PIXELS)
        inside = pixel < pixels
        first, row, column, low, right, factor = _place(
            offset, mask, pixel, inside, tap, height, width
        )
        a, b, c, d = _corners(image, first, row, column, inside, channel, channels, height, width)
        sample = _mix(a, b, c, d, low, right) * factor[:, None]
        place = pixel[:, None] * outputs + output[None, :]
        known = inside[:, None] & (output < outputs)[None, :]
        own = tl.load(gradient + place, mask=known, other=0.0)
        total = tl.dot(tl.trans(sample).to(own.dtype), own, total, input_precision="ieee")
    place = (tap * channels + channel)[:, None] * outputs + output[None, :]
    known = (channel < channels)[:, None] & (output < outputs)[None, :]
    tl.atomic_add(weight_gradient + place, total, mask=known)
