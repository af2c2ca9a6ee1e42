"""Lets torchvision be imported where its compiled operators can't be loaded."""

import sys

_defined = []  # an operator is gone as soon as its library is


def make_importable():
    """Defines the operators without which torchvision can't be imported, where they are missing.

    pip gives a torchvision for GPUs also to a torch for CPUs. Its operators, which are for pictures, don't load
    there; what imports it only because it is installed works all the same.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _defined.append(library)
