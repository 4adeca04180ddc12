"""Packing an eye: photos for calibration, int8, what it costs in labels, a golden picture that code draws."""
