"""From a trained network to a bundle: export, int8, what int8 costs, golden vectors, the manifest.

    export ──► compile_openvino ──► calibrate ──► quantize ──► accuracy_control ──► pack
    ONNX       ov.Model             real caches   NNCF int8    what stays higher    manifest, golden, card

Runs on a workstation (torch, onnx, openvino, nncf). ``galago pack`` is the way in, and its options are in
:mod:`galago.quantize.command`.
"""
