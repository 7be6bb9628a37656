"""The transformer in ONNX, built from its weights by hand: no converter, no PyTorch, equal bytes from equal weights."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ml.transformer.weights import EPSILON, Transformer

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT, OUTPUT = "columns", "raw_score"
_OPSET, _IR_VERSION = 18, 9


class _Graph:
    """Nodes and constants, in order; each method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, array: Any, dtype: type = np.float32) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(array, dtype=dtype, order="C"), name))
        return name

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        from onnx import helper

        result = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [result], **attributes))
        return result

    def linear(self, x: str, weight: Any, bias: Any) -> str:
        return self.add("Add", self.add("MatMul", x, self.constant(weight)), self.constant(bias))

    def normed(self, x: str, gain: Any, shift: Any) -> str:
        return self.add("LayerNormalization", x, self.constant(gain), self.constant(shift), axis=-1, epsilon=EPSILON)

    def silu(self, x: str) -> str:
        return self.add("Mul", x, self.add("Sigmoid", x))

    def reshaped(self, x: str, *shape: int) -> str:
        return self.add("Reshape", x, self.constant(shape, np.int64))


def to_onnx(model: Transformer) -> bytes:
    """The serialised form: ``columns`` float32 (n, n_columns) in, ``raw_score`` float32 (n, 1) out, in log-odds."""
    graph, weights, shape = _Graph(), model.weights, model.shape
    x = _tokens(graph, model)
    for layer in range(shape.n_layers):
        normed = graph.normed(x, weights["attention_gain"][layer], weights["attention_shift"][layer])
        mixed = graph.linear(normed, weights["query_key_value"][layer], weights["query_key_value_bias"][layer])
        heads = _attention(graph, mixed, model)
        x = graph.add("Add", x, graph.linear(heads, weights["joined"][layer], weights["joined_bias"][layer]))
        normed = graph.normed(x, weights["feed_gain"][layer], weights["feed_shift"][layer])
        inner = graph.silu(graph.linear(normed, weights["up"][layer], weights["up_bias"][layer]))
        x = graph.add("Add", x, graph.linear(inner, weights["down"][layer], weights["down_bias"][layer]))
    normed = graph.normed(x, weights["last_gain"], weights["last_shift"])
    pooled = graph.add("ReduceMean", normed, graph.constant([1], np.int64), keepdims=0)
    hidden = graph.silu(graph.linear(pooled, weights["head"], weights["head_bias"]))
    product = graph.add("MatMul", hidden, graph.constant(weights["score"]))
    graph.add("Add", product, graph.constant(weights["score_bias"]), name=OUTPUT)
    return bytes(_model(graph, len(model.plan.typical)).SerializeToString())


def _tokens(graph: _Graph, model: Transformer) -> str:
    """The counterpart of :meth:`Transformer.tokens`, shape (n, n_features, width)."""
    plan, weights, shape = model.plan, model.weights, model.shape
    zero, one = graph.constant(0.0), graph.constant(1.0)
    values = graph.add("Gather", INPUT, graph.constant(plan.column.ravel(), np.int64), axis=1)
    values = graph.reshaped(values, -1, shape.n_features, shape.n_slots)
    scaled = graph.add("Mul", graph.add("Sub", values, graph.constant(plan.low)), graph.constant(plan.scale))
    # a missing value is NaN in its slots too: replaced before a product spreads it
    known = graph.add("Where", graph.add("IsNaN", values), zero, graph.add("Clip", scaled, zero, one))
    by_feature = graph.add("Transpose", known, perm=[1, 0, 2])
    tokens = graph.add("Transpose", graph.add("MatMul", by_feature, graph.constant(weights["slots"])), perm=[1, 0, 2])
    tokens = graph.add("Add", tokens, graph.constant(weights["present"]))
    first = graph.add("Gather", INPUT, graph.constant(plan.first_column, np.int64), axis=1)
    missing = graph.reshaped(graph.add("IsNaN", first), -1, shape.n_features, 1)
    return graph.add("Where", missing, graph.constant(weights["missing"]), tokens)


def _attention(graph: _Graph, mixed: str, model: Transformer) -> str:
    """Each head's mix of values, side by side, shape (n, n_features, width)."""
    shape = model.shape
    size = shape.width // shape.n_heads
    parted = graph.reshaped(mixed, -1, shape.n_features, 3, shape.n_heads, size)
    query = graph.add("Transpose", _third(graph, parted, 0), perm=[0, 2, 1, 3])
    key = graph.add("Transpose", _third(graph, parted, 1), perm=[0, 2, 3, 1])
    value = graph.add("Transpose", _third(graph, parted, 2), perm=[0, 2, 1, 3])
    alike = graph.add("Mul", graph.add("MatMul", query, key), graph.constant(size**-0.5))
    heads = graph.add("MatMul", graph.add("Softmax", alike, axis=-1), value)
    return graph.reshaped(graph.add("Transpose", heads, perm=[0, 2, 1, 3]), -1, shape.n_features, shape.width)


def _third(graph: _Graph, parted: str, place: int) -> str:
    return graph.add("Gather", parted, graph.constant(place, np.int64), axis=2)


def _model(graph: _Graph, n_columns: int) -> "ModelProto":
    from onnx import TensorProto, checker, helper

    made = helper.make_graph(
        graph.nodes,
        "loanlake",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, n_columns])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
        initializer=graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    checker.check_model(model)
    return model
