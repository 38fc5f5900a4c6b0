"""Periodic convolutions in 1 to 4 dimensions.

TensorFlow has convolutions in at most three dimensions, none of them periodic, and XLA runs those slowly on a CPU. Here a
convolution is one matrix product on blocks of sites. A kernel may have the size 1 along some axes; blocks then have one site there,
and the axis is treated like the batch, so that a convolution along k of d axes costs as much as one in k dimensions.
"""

import itertools
import math
from collections.abc import Sequence

import tensorflow as tf

__all__ = ["from_blocks", "kernel_sizes", "periodic_convolution", "to_blocks"]


def kernel_sizes(kernel_size: int | Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The size of a kernel along every axis.

    Args:
      kernel_size: one number for all axes, or one for each.
      shape: of the lattice.

    Raises:
      ValueError: another number of sizes, a size that is even, or one that wraps around the lattice more than once.
    """
    sizes = (kernel_size,) * len(shape) if isinstance(kernel_size, int) else tuple(kernel_size)
    if len(sizes) != len(shape):
        raise ValueError(f"kernel_size must be one number, or one for each of the {len(shape)} axes of {shape}, got {list(sizes)}")
    if any(size % 2 == 0 or size // 2 > extent for size, extent in zip(sizes, shape, strict=True)):
        raise ValueError(f"kernel_size must be odd and at most twice the extent plus one, got {kernel_size} on {shape}")
    return sizes


def to_blocks(x: tf.Tensor, sizes: Sequence[int] | None = None) -> tf.Tensor:
    """`[channels, batch, *shape]` -> `[*block, channels, *blocks, batch]`, the form in which `periodic_convolution` is fast.

    A block has two sites in every direction of even extent and one in the others. The batch comes last, so that whatever is cut
    out of the lattice is contiguous in memory.

    Args:
      x: the channels.
      sizes: of the kernel along every axis; a block has one site where this is 1. None for larger kernels.
    """
    channels, _, *shape = x.shape
    d = len(shape)
    block = [2 if extent % 2 == 0 and size > 1 else 1 for extent, size in zip(shape, sizes or [3] * d, strict=True)]
    x = tf.reshape(x, [channels, -1, *itertools.chain(*((extent // n, n) for extent, n in zip(shape, block, strict=True)))])
    return tf.transpose(x, [*range(3, 2 * d + 2, 2), 0, *range(2, 2 * d + 2, 2), 1])


def from_blocks(x: tf.Tensor) -> tf.Tensor:
    """The inverse of `to_blocks`."""
    d = len(x.shape) // 2 - 1
    shape = [n * blocks for n, blocks in zip(x.shape[:d], x.shape[d + 1 : -1], strict=True)]
    order = [d, 2 * d + 1, *itertools.chain(*((d + 1 + axis, axis) for axis in range(d)))]
    return tf.reshape(tf.transpose(x, order), [x.shape[d], -1, *shape])


def periodic_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Cross-correlation on a periodic lattice, `y_n = sum_r kernel_r x_{n + r}`, as one matrix product.

    What a block's sites see is a patch, the block and the kernel's radius around it. Along the first half of the axes the patches
    of x are gathered before the product, along the others the product gives what a block contributes to the patch around it, and
    these are added up after it: less is copied than if whole patches were gathered, and the matrix is square.

    Args:
      x: `[*block, inputs, *blocks, batch]`, see `to_blocks`.
      kernel: `[*sizes, inputs, outputs]`, of odd sizes.

    Returns:
      `[*block, outputs, *blocks, batch]`.
    """
    d = len(kernel.shape) - 2
    block, blocks, radii = list(x.shape[:d]), list(x.shape[d + 1 : -1]), [size // 2 for size in kernel.shape[:d]]
    wide = [axis for axis in range(d) if radii[axis]]
    gathered, scattered = wide[: (len(wide) + 1) // 2], wide[(len(wide) + 1) // 2 :]
    # [*patch, *block, inputs, outputs]: the kernel as every site of a block has it in the patch.
    kernel = tf.pad(tf.reverse(kernel, scattered), [[0, n - 1] for n in block] + [[0, 0], [0, 0]])
    for axis, n in enumerate(block):
        kernel = tf.stack([tf.roll(kernel, site, axis) for site in range(n)], axis=d + axis)
    # Where an axis is gathered, the patch is the product's input and the block its output; where it is scattered, the other way.
    of_input = [*(axis + d * (axis in scattered) for axis in range(d)), 2 * d]
    of_output = [*(axis + d * (axis not in scattered) for axis in range(d)), 2 * d + 1]
    matrix = tf.transpose(kernel, of_output + of_input)
    sizes = matrix.shape[: d + 1]
    for axis in gathered:
        x = _gather_patches(x, axis, d + 1 + axis, radii[axis])
    y = tf.reshape(matrix, [math.prod(sizes), -1]) @ tf.reshape(x, [math.prod(x.shape[: d + 1]), -1])
    y = tf.reshape(y, [*sizes, *blocks, -1])
    for axis in scattered:
        y = _scatter_patches(y, axis, d + 1 + axis, block[axis], radii[axis])
    return y


def _gather_patches(x: tf.Tensor, axis: int, blocks_axis: int, radius: int) -> tf.Tensor:
    """Replaces the n sites of a block along an axis by the n + 2 radius sites of the patch around it."""
    n = x.shape[axis]
    sites = tf.split(x, n, axis)
    return tf.concat([tf.roll(sites[place % n], -(place // n), blocks_axis) for place in range(-radius, n + radius)], axis)


def _scatter_patches(y: tf.Tensor, axis: int, blocks_axis: int, n: int, radius: int) -> tf.Tensor:
    """Adds the n + 2 radius sites of the patches along an axis to the n sites of the blocks they belong to."""
    sites: list[list[tf.Tensor]] = [[] for _ in range(n)]
    for place, part in zip(range(-radius, n + radius), tf.split(y, n + 2 * radius, axis), strict=True):
        sites[place % n].append(tf.roll(part, place // n, blocks_axis))
    return tf.concat([tf.add_n(parts) for parts in sites], axis)
