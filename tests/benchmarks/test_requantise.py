import torch
from gguf import GGMLQuantizationType

from benchmarks.requantise import EMBEDDINGS, HEAD, round_embeddings, round_projections, rounded


def weights() -> dict[str, torch.Tensor]:
    """Normal weights under the names of a model's parts."""
    torch.manual_seed(0)
    names = (EMBEDDINGS, "model.layers.0.mlp.up_proj.weight", "model.layers.0.input_layernorm.weight")
    return {name: torch.randn(64, 64).to(torch.bfloat16) for name in names}


def change(before: torch.Tensor, after: torch.Tensor) -> float:
    return float((after.float() - before.float()).norm() / before.float().norm())


def test_fewer_bits_change_weights_more() -> None:
    """Eight bits hardly, four by several per cent; type and shape stay."""
    weight = weights()[EMBEDDINGS]
    eight, four = (rounded(weight, kind) for kind in (GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_1))
    assert (four.dtype, four.shape) == (weight.dtype, weight.shape)
    assert 0 < change(weight, eight) < 0.01
    assert 0.04 < change(weight, four) < 0.12


def test_only_the_named_matrices_change() -> None:
    """Norms never; the output matrix keeps what the input embeddings lose."""
    before, projections, embeddings = weights(), weights(), weights()
    round_projections(projections, GGMLQuantizationType.Q4_1)
    changed = {name for name in before if not torch.equal(before[name], projections[name])}
    assert changed == {"model.layers.0.mlp.up_proj.weight"}
    round_embeddings(embeddings, GGMLQuantizationType.Q5_0)
    assert torch.equal(embeddings[HEAD], before[EMBEDDINGS])
    assert not torch.equal(embeddings[EMBEDDINGS], before[EMBEDDINGS])
