import pytest

from sktransfer.encoders.checkpoints.checkpoint import find_checkpoint
from sktransfer.encoders.featurizer import BertFeaturizer
from sktransfer.encoders.parameters import RULES, resolve_layers, resolve_pooling
from sktransfer.exceptions import InvalidParameterError
from sktransfer.validation import check_parameters


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("model", [None, "", 3]),
        ("revision", [1]),
        ("pooling", ["sum", (), ("mean", "mean"), ("auto",), None, 1]),
        ("layers", [(), "all", 1.5, True, None]),
        ("prefix", [None, 3]),
        ("max_length", [0, -1, 2.5, True, "all"]),
        ("long_text", ["cut", None, ["window"]]),
        ("batch_tokens", [0, None, "many"]),
        ("device", [None, 0]),
        ("dtype", ["float8", None, ["float32"]]),
        ("cache", ["disk", True, 0]),
    ],
)
def test_values_out_of_range_are_named(name, values):
    for value in values:
        with pytest.raises(InvalidParameterError, match=f"^{name}=.* is expected"):
            check_parameters({name: value}, RULES)


def test_defaults_are_in_range():
    check_parameters(BertFeaturizer().get_params(), RULES)


def test_layers_count_from_the_last(tiny_bert):
    checkpoint = find_checkpoint(tiny_bert)
    assert resolve_layers(-1, checkpoint) == resolve_layers(2, checkpoint) == (-1,)
    assert resolve_layers((0, 2), checkpoint) == (-3, -1)
    assert resolve_layers("auto", checkpoint) == (-1,)
    with pytest.raises(
        InvalidParameterError, match=r"layers is 3, but .* has 2 layers"
    ):
        resolve_layers(3, checkpoint)


def test_a_declared_pooling_that_does_not_exist_here_is_an_error(tiny_bert):
    checkpoint = find_checkpoint(tiny_bert)
    object.__setattr__(checkpoint, "pooling", ("lasttoken",))
    try:
        with pytest.raises(InvalidParameterError, match="'lasttoken', which does not"):
            resolve_pooling("auto", checkpoint)
        assert resolve_pooling("max", checkpoint) == ("max",)
    finally:
        object.__setattr__(checkpoint, "pooling", ("mean",))
