"""From a trained network to a bundle: export, int8, what int8 costs, golden vectors, the manifest.

    export ──► compile_openvino ──► calibrate ──► quantize ──► accuracy_control ──► dtype_choice ──► pack
    ONNX       ov.Model             real caches   a plan of    what stays           does int8        manifest,
                                                  integers     higher               pay?             card

Runs on a workstation (torch, onnx, openvino). ``galago pack`` is the way in, and its options are in
:mod:`galago.quantize.command`.
"""
