"""What a worker of Ray imports before it is taken for ready, which takes seconds.

Most of a million objects come into being, and stay. To look for garbage among them takes a quarter of the time.
"""

import gc
from importlib import import_module

gc.disable()
for _name in ("autoft.study.trainable", "transformers.modeling_utils"):  # the latter is imported with the first model
    import_module(_name)
gc.freeze()
gc.enable()
