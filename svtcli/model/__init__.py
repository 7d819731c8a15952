"""The paper: the Subscale Video Transformer, in pure JAX.

Axes in signatures:

    B  batch                    S      slices of a video     N      blocks of a slice
    T H W  extents of a video   C      codes of a pixel      L      positions of a block
    t h w  extents of a slice   V      values of a code      K      attention heads
    P  positions of a slice     D      hidden width          a      width of a head
    I  image channels           E      embedding width       A      numbers of an action
    R  rows of a matrix         M      runs of positions     U      positions of a run
                                Nr Lr  blocks and places of a run's box of the cache

Positions are numbered in raster order of (t, h, w). NNX modules are named boxes of
parameters: nothing in a call changes them, and they compute in the precision of their
parameters. `kernels.py` holds hand-written gradients and memory layouts.
"""
