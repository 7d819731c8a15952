"""The paper: the Subscale Video Transformer, in pure JAX.

One glossary of axes for the whole room:

    B  batch                  t h w  extents of a slice      V  values of a code (Nv)
    T H W  extents of a video S      slices of a video       D  hidden width (d)
    C  codes of a pixel (Nc)  N      blocks of a slice       K  heads (na)
    E  embedding width (de)   L      length of a block       A  numbers of an action
    P  positions of a slice, t·h·w, in raster order

Modules are named boxes of parameters (flax NNX); nothing in a call changes them. Their
arithmetic runs in the precision of the parameters that they were merged with.
"""
