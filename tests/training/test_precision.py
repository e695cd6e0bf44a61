import os
import subprocess
import sys

import pytest

from i2p_tf.errors import InputError
from i2p_tf.training import precision


def test_auto_never_takes_what_onednn_is_forbidden():
    """TensorFlow asks the processor for bfloat16, oneDNN obeys the variable: together they would fail at each step."""
    code = "from i2p_tf.training import precision; print(precision.resolve('auto'))"
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "float32"


def test_a_precision_that_can_not_be_computed_is_refused(monkeypatch):
    monkeypatch.setattr(precision, "computes_bfloat16", lambda: False)
    with pytest.raises(InputError, match="ONEDNN_MAX_CPU_ISA"):
        precision.resolve("mixed_bfloat16")
    assert precision.resolve("float32") == "float32"


@pytest.mark.parametrize(("flags", "expected"), [({"avx2"}, "float32"), ({"avx512_bf16"}, "mixed_bfloat16")])
def test_auto_takes_bfloat16_where_the_processor_multiplies_it(monkeypatch, flags, expected):
    monkeypatch.setattr(precision, "_processor_flags", lambda: flags)
    monkeypatch.setattr(precision, "computes_bfloat16", lambda: True)
    assert precision.resolve("auto") == expected
