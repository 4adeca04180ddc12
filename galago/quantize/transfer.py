"""One quantization for all shapes of a network: calibrated on one graph, laid over the others."""

from __future__ import annotations

import numpy as np
import openvino as ov

from galago.quantize.quantize import QuantizationError

__all__ = ["transfer"]


def transfer(quantized: ov.Model, source: ov.Model, target: ov.Model) -> ov.Model:
    """The quantization of ``source``'s graph, laid over the graph of another chunk size or sentence length.

    Both float graphs are the same network: what differs is the shapes of the inputs, shapes inside, and the
    projected positions. Everything else, scales and int8 weights among it, is taken over unchanged, so that
    all shapes share their weights and one calibration.

    Args:
        quantized: made from ``source`` by :func:`~galago.quantize.quantize.quantize_graph`.
        source, target: float graphs with explicit states, of one network.

    Raises:
        QuantizationError: the graphs differ in more than the shapes, or a differing constant was quantized.
    """
    copy = quantized.clone()
    ours = {node.get_friendly_name(): node for node in copy.get_ordered_ops()}
    theirs = {node.get_friendly_name(): node for node in target.get_ordered_ops()}
    for node in source.get_ordered_ops():
        name = node.get_friendly_name()
        if node.get_type_name() in ("Constant", "Parameter", "Result"):
            continue
        other = theirs.get(name)
        if other is None or other.get_type_name() != node.get_type_name():
            raise QuantizationError(f"{name}: the graphs of two shapes differ in their layers")
        for index in range(node.get_input_size()):
            before, after = node.input_value(index).get_node(), other.input_value(index).get_node()
            if before.get_type_name() != "Constant" or after.get_type_name() != "Constant":
                continue
            if before.get_element_type() == after.get_element_type() and np.array_equal(
                before.data, after.data
            ):
                continue
            port = ours[name].input(index)
            found = port.get_source_output().get_node()
            if found.get_type_name() != "Constant" or not np.array_equal(found.data, before.data):
                raise QuantizationError(
                    f"{name}: input {index} depends on the shape and was quantized; ignore it"
                )
            constant = ov.opset13.constant(after.data, dtype=after.get_element_type())
            constant.set_friendly_name(f"{name}:{index}")
            port.replace_source_output(constant.output(0))
    shapes = {
        parameter.get_friendly_name(): parameter.get_partial_shape() for parameter in target.get_parameters()
    }
    for parameter in copy.get_parameters():
        parameter.set_partial_shape(shapes[parameter.get_friendly_name()])
    copy.validate_nodes_and_infer_types()
    return copy
