"""What there is to compute on."""


def gpus() -> int:
    """Number of GPUs that torch can use here."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
