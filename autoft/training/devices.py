"""What there is to compute on."""


def gpus() -> int:
    """Number of GPUs that torch can use here."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def precision() -> str:
    """The precision that suits this machine: `bf16` where its GPU, or else its processor, computes with it."""
    import torch

    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bf16" if any(getattr(torch.cpu, check, lambda: False)() for check in checks) else "fp32"
