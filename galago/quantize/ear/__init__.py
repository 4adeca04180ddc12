"""Packing an ear: streams for calibration, one quantization for all chunk sizes, what it costs in words."""
