"""A policy as an ONNX model: Gemm, Relu and Softmax, which every runtime has.

    observations   (batch, S) float32
    possible       (batch, A) bool, where the environment may mask actions; all are possible where it is not given
    logits         (batch, A) float32
    probabilities  (batch, A) float32

What the policy is stands in `metadata_props`, lists as JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from broker.errors import UserError
from broker.release import FORETELL
from scenarios.policies.exported import ExportedPolicy, greatest_difference, questions_for

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

SUFFIX = ".onnx"
_OPSET, _IR = 17, 8  # of 2022: what runtimes of today read, and those of then
_LOWEST = np.float32(np.finfo(np.float32).min)


def to_onnx(policy: ExportedPolicy) -> tuple[bytes, float]:
    """The model, and by how much its probabilities differ from ours at most, by ONNX's reference evaluator.

    Raises:
        UserError: onnx is not installed, or they differ by too much.
    """
    try:
        import onnx  # noqa: PLC0415 - an optional dependency
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415
    except ImportError:
        msg = "--format onnx needs onnx, which is not installed: pip install 'foretell[onnx]', or use --format torch"
        raise UserError(msg) from None
    model = _model(policy)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    evaluator = ReferenceEvaluator(onnx.load_from_string(content))
    observations, possible = questions_for(policy)

    def probabilities(**given: np.ndarray) -> np.ndarray:
        (found,) = evaluator.run(["probabilities"], {"observations": observations, **given})
        return np.asarray(found)

    masked = probabilities(possible=possible) if policy.facts["masks"] else None
    return content, greatest_difference(policy, probabilities(), masked)


def _model(policy: ExportedPolicy) -> ModelProto:
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - see above

    facts = policy.facts
    size, actions = facts["layers"][0], facts["layers"][-1]
    nodes, held = _network(policy)
    inputs = [helper.make_tensor_value_info("observations", TensorProto.FLOAT, ["batch", size])]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", actions])
        for name in ("logits", "probabilities")
    ]
    last = "logits"
    if facts["masks"]:
        inputs.append(helper.make_tensor_value_info("possible", TensorProto.BOOL, ["rows", actions]))
        held.append(numpy_helper.from_array(np.ones((1, actions), np.bool_), "possible"))
        held.append(numpy_helper.from_array(np.array(_LOWEST), "lowest"))
        nodes.append(helper.make_node("Where", ["possible", "logits", "lowest"], ["masked"]))
        last = "masked"
    nodes.append(helper.make_node("Softmax", [last], ["probabilities"], axis=-1))
    graph = helper.make_graph(nodes, facts["agent"], inputs, outputs, held)
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(
        graph, producer_name="foretell", producer_version=FORETELL, opset_imports=[opset], ir_version=_IR
    )
    helper.set_model_props(model, {name: _as_text(value) for name, value in facts.items()})
    return model


def _network(policy: ExportedPolicy) -> tuple[list[NodeProto], list[TensorProto]]:
    """From observations to logits: the nodes, and what they multiply by and add."""
    from onnx import helper, numpy_helper  # noqa: PLC0415 - see above

    nodes: list[NodeProto] = []
    held: list[TensorProto] = []
    before, last = "observations", len(policy.layers) - 1
    for number, layer in enumerate(policy.layers):
        names = [f"{number}.weight", f"{number}.bias"]
        held += [numpy_helper.from_array(array, name) for array, name in zip(layer, names, strict=True)]
        after = "logits" if number == last else f"{number}.outputs"
        nodes.append(helper.make_node("Gemm", [before, *names], [after]))
        if number < last:
            before = f"{number}.relu"
            nodes.append(helper.make_node("Relu", [after], [before]))
    return nodes, held


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
